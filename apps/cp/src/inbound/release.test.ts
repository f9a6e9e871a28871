import { isOffset, type Offset } from "@nixwave/effects";
import { sha256 } from "@nixwave/protocol";
import { channelName, hostName, START } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fleetOf, openPlane, type TestPlane } from "../endToEnd/plane.fixture.ts";
import { putRelease } from "../endToEnd/releaseFolder.fixture.ts";
import { ScriptedAgent } from "../endToEnd/scriptedAgent.fixture.ts";

let test: TestPlane;
beforeEach(async () => {
  test = await openPlane();
});
afterEach(() => test.close());

const stable = channelName("stable");
const newest = () => test.plane.writer.fleet().newestRollout(stable);
const look = async (secs = 1): Promise<void> => {
  test.time.pass(secs);
  await test.plane.watch.look();
};
function offsetOf(value: number): Offset {
  if (!isOffset(value)) throw new Error(`${value} is not an offset`);
  return value;
}

it("opens what the directory names, once, however often it looks", async () => {
  const release = await test.release(fleetOf("new", [["web-1"]]), "new");
  expect(newest()?.rolloutId).toBe(release.rolloutId);
  const head = test.plane.writer.logHead();
  for (let turn = 0; turn < 5; turn += 1) await look(60);
  expect(test.plane.writer.logHead()).toEqual(head);
});

it("an older release that is signed later walks no channel back", async () => {
  const second = await test.release(fleetOf("second", [["web-1"]]), "second");
  const before = { createdAt: START - 1000, note: "before all", now: test.time.now };
  const older = await putRelease(test.folder.releases, fleetOf("older", [["web-1"]]), before);
  await look();
  expect(newest()?.rolloutId).toBe(second.rolloutId);
  expect(test.logged.at(-1)?.message).toContain(older.rolloutId);
});

it("while the log replays, a release that it never saw is taken too, as superseded", async () => {
  // Published, and followed by another before the next look: what a control plane that was set back to an old backup finds.
  const missed = await putRelease(test.folder.releases, fleetOf("missed", [["web-1"]]), {
    createdAt: test.time.now,
    now: test.time.now,
    note: "missed",
  });
  const release = await test.release(fleetOf("new", [["web-1"]]), "new");
  const states = () =>
    [missed, release].map((one) => test.plane.writer.fleet().rollout(one.rolloutId)?.kind);
  expect(states()).toEqual([undefined, "Active"]);
  const agent = new ScriptedAgent(test.plane.url, { host: hostName("web-1"), running: null });
  await agent.heartbeat({ offset: offsetOf(1_000_000), hash: sha256("a log of another time") });
  await look();
  expect(states()).toEqual(["Superseded", "Active"]);
});

it("at rest: an hour of looking, one host heard each minute, at most one commit per 30 s", async () => {
  await test.release(fleetOf("new", [["web-1"]]), "new");
  const agent = new ScriptedAgent(test.plane.url, { host: hostName("web-1"), running: null });
  await agent.heartbeat();
  const offer = await agent.poll(0);
  if (offer === null) throw new Error("expected a dispatch");
  const metric = async (name: string): Promise<number> => {
    const text = await (
      await fetch(`${test.plane.url}/metrics`, { headers: { "nixwave-operator": "ops" } })
    ).text();
    const lines = text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, "gm"));
    return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
  };
  const before = {
    commits: await metric("nixwave_commit_seconds_count"),
    inputs: await metric("nixwave_loop_inputs_total"),
  };
  for (let second = 0; second < 300; second += 1) {
    await look();
    if (second % 60 === 0) await agent.heartbeat();
  }
  expect((await metric("nixwave_commit_seconds_count")) - before.commits).toBeLessThanOrEqual(10);
  expect((await metric("nixwave_loop_inputs_total")) - before.inputs).toBeLessThanOrEqual(25);
}, 30_000);
