import { closure } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { OLD } from "../world/machine.fixture.ts";
import { stage } from "../world/stage.fixture.ts";

const NEW = closure("new");
const on = stage();
const said = () => {
  const last = on.world.cp.heartbeats.at(-1);
  if (last === undefined) throw new Error("there was no heartbeat");
  return last;
};

test("a heartbeat has what the control plane decides on, read anew each time (hazard 59)", async () => {
  await on.world.pass(5);
  expect(said()).toMatchObject({
    currentClosure: OLD,
    bootId: "boot-1",
    streams: {},
    leaving: null,
  });
  expect(said().logHead).toBeNull();
  expect(said().diskFreeBytes).toBeGreaterThan(0);
  const release = on.world.cp.release(NEW);
  on.world.cp.dispatch(release);
  await on.becomes(release, "Converged");
  await on.world.pass(70);
  const record = on.world.record(release);
  expect(said()).toMatchObject({
    currentClosure: NEW,
    streams: { [release.rolloutId]: { attempt: 1, lastSeq: record?.lastSeq } },
    logHead: on.world.cp.logHead,
  });
  await on.world.kill();
  on.world.machine.reboot("boot-2");
  on.world.machine.system.running = OLD;
  on.world.start();
  await on.world.pass(5);
  expect(said()).toMatchObject({ currentClosure: OLD, bootId: "boot-2" });
});

test("a heartbeat tells what the activation waits for, while it waits, and not a word too many", async () => {
  const { world } = on;
  world.machine.realiseRefusal = `no cache answers: ${"x".repeat(2000)}`;
  const release = world.cp.release(NEW);
  world.cp.dispatch(release);
  await on.becomes(release, "Activating");
  // At once: the next heartbeat that is due would come a minute later.
  await world.passUntil(() => said().waitsFor !== null, 10);
  expect(said().waitsFor).toMatch(/^no cache answers: x{1006}$/);
  world.machine.realiseRefusal = null;
  await on.becomes(release, "Converged", 200);
  await world.pass(70);
  expect(said().waitsFor).toBeNull();
});

test("a control plane that has more of a stream than was ever written makes the agent begin a new journal", async () => {
  const { world } = on;
  const release = world.cp.release(NEW);
  world.cp.dispatch(release);
  await on.becomes(release, "Converged");
  const { journalId } = world.journal.facts();
  const lastSeq = world.record(release)?.lastSeq ?? 0;
  world.cp.ahead = { [release.rolloutId]: lastSeq };
  await world.pass(70);
  expect(world.journal.facts().journalId).toBe(journalId);
  world.cp.ahead = { [release.rolloutId]: lastSeq + 1 };
  await world.passUntil(() => world.journal.facts().journalId !== journalId, 70);
  world.cp.ahead = {};
  await world.pass(70);
  expect(world.record(release)).toBeNull();
});
