import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closure } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { CHANNEL, HOST } from "../world/controlPlane.fixture.ts";
import { World } from "../world/world.fixture.ts";
import { parseDurationSecs } from "./request.ts";
import { renderStatus, statusOf } from "./status.ts";

const says = (world: World): string => {
  const now = world.agent.clock.now();
  const of = {
    host: HOST,
    channel: CHANNEL,
    agentVersion: "0.0.0",
    now,
    trouble: null,
    identity: null,
    trust: null,
  };
  const status = statusOf(world.journal, of);
  // What goes out as JSON has no instant but in RFC 3339.
  expect(JSON.stringify(status)).not.toMatch(/":\d{13}[,}]/);
  return renderStatus(status).replaceAll(/@[0-9a-f]{40}/g, "@…");
};

test("each state is called by its name, from the first dispatch to the rollback", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "nixwave-status-"));
  const world = new World(stateDir);
  try {
    world.start();
    await world.pass(5);
    expect(says(world)).toContain("No rollout has reached this host yet.");
    const bad = closure("bad");
    world.machine.behaviours.set(bad, { exitCode: 0, secs: 40, healthy: false });
    const release = world.cp.release(bad);
    world.cp.dispatch(release);
    await world.pass(10);
    expect(says(world)).toMatch(/rollout {5}stable@…: Activating for \d+ s, start 1/);
    await world.passUntil(() => world.record(release)?.kind === "Soaking");
    await world.pass(10);
    expect(says(world)).toContain("Soaking for 10 s of 1 min");
    await world.passUntil(() => world.record(release)?.kind === "Failed");
    expect(says(world)).toContain("Failed 0 s ago (health, http-app); its rollback is under way");
    await world.passUntil(() => world.record(release)?.kind === "Reverted");
    expect(says(world)).toContain("Reverted to");
    expect(says(world)).toMatch(/known good {2}\S+-old/);
    await world.submit({ kind: "HoldSet", secs: 3600, reason: "maintenance" });
    expect(says(world)).toMatch(/held {8}until 2026-\S+Z: maintenance/);
  } finally {
    await world.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
});

test.each([
  ["2h", 7200],
  ["90m", 5400],
  ["30s", 30],
  ["1d", 86_400],
  ["", null],
  ["2", null],
  ["2 h", null],
  ["-1h", null],
])("the duration %j is %j seconds", (text, secs) => {
  expect(parseDurationSecs(text)).toBe(secs);
});
