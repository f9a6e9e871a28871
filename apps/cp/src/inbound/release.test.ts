import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isOffset, type Offset } from "@nixwave/effects";
import { sha256 } from "@nixwave/protocol";
import { channelName, hostName, START } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fleetOf, openPlane, type TestPlane } from "../endToEnd/plane.fixture.ts";
import { putRelease } from "../endToEnd/releaseFolder.fixture.ts";
import { operatorClient, ScriptedAgent } from "../endToEnd/scriptedAgent.fixture.ts";

let test: TestPlane;
beforeEach(async () => {
  test = await openPlane();
});
afterEach(() => test.close());

const stable = channelName("stable");
const unverified = () => test.plane.writer.fleet().unverified(stable);
const newest = () => test.plane.writer.fleet().newestRollout(stable);
const look = async (secs = 1): Promise<void> => {
  test.time.pass(secs);
  await test.plane.watch.look();
};
function offsetOf(value: number): Offset {
  if (!isOffset(value)) throw new Error(`${value} is not an offset`);
  return value;
}
const file = (name: string): string => join(test.folder.releases, "stable", name);

it("opens what the directory names, once, however often it looks", async () => {
  const release = await test.release(fleetOf("new", [["web-1"]]), "new");
  expect(newest()?.rolloutId).toBe(release.rolloutId);
  const head = test.plane.writer.logHead();
  for (let turn = 0; turn < 5; turn += 1) await look(60);
  expect(test.plane.writer.logHead()).toEqual(head);
});

it("a release that does not verify closes the gate with the place, and opens it again when it is mended", async () => {
  const release = await test.release(fleetOf("new", [["web-1"]]), "new");
  const head = file(`${release.ref}.json`);
  renameSync(head, `${head}.away`);
  await test.release(fleetOf("newer", [["web-1"]]), "newer");
  const current = JSON.stringify({ channel: "stable", ref: release.ref });
  writeFileSync(file("current.json.tmp"), current);
  renameSync(file("current.json.tmp"), file("current.json"));
  await look();
  expect(unverified()?.reason).toMatch(new RegExp(`^stable/${release.ref}\\.json: `));
  renameSync(`${head}.away`, head);
  // Nothing of current.json changed; the watch comes back to what it could not read.
  await look(31);
  expect(unverified()).toBeNull();
});

it("a channel whose folder goes away is unreadable, not forgotten", async () => {
  await test.release(fleetOf("new", [["web-1"]]), "new");
  rmSync(join(test.folder.releases, "stable"), { recursive: true });
  await look();
  expect(unverified()?.reason).toMatch(/^stable\/current\.json: /);
});

it("set back to an older release, the channel goes on with what it runs, and agents are told that", async () => {
  const first = await test.release(fleetOf("first", [["web-1"]]), "first");
  const second = await test.release(fleetOf("second", [["web-1"]]), "second");
  writeFileSync(file("current.json"), JSON.stringify({ channel: "stable", ref: first.ref }));
  await look();
  expect(newest()?.rolloutId).toBe(second.rolloutId);
  const agent = new ScriptedAgent(test.plane.url, { host: hostName("web-1"), running: null });
  const current = async (): Promise<string> => {
    const served = await agent.client.call("getCurrentRelease", { params: { channel: stable } });
    return served.ok ? new TextDecoder().decode(served.value) : JSON.stringify(served.error);
  };
  expect(await current()).toContain(second.ref);
  const before = { createdAt: START - 1000, note: "before all" };
  const older = putRelease(test.folder.releases, fleetOf("older", [["web-1"]]), before);
  await look();
  expect(newest()?.rolloutId).toBe(second.rolloutId);
  expect(await current()).toContain(second.ref);
  expect(test.logged.at(-1)?.message).toContain(older.rolloutId);
});

it("while the log replays, a release that it never saw is taken too, as superseded", async () => {
  // Published, and followed by another before the next look: what a control plane that was set back to an old backup finds.
  const missed = putRelease(test.folder.releases, fleetOf("missed", [["web-1"]]), {
    createdAt: test.time.now,
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

it("serves only bytes that have the hash they are named by, with an ETag", async () => {
  const release = await test.release(fleetOf("new", [["web-1"]]), "new");
  const agent = new ScriptedAgent(test.plane.url, { host: hostName("web-1"), running: null });
  const name = `${release.ref}.json`;
  const url = `${test.plane.url}/v1/releases/stable/${name}`;
  const headers = {
    "nixwave-protocol": "1",
    "nixwave-host": "web-1",
    "nixwave-journal": agent.journalId,
  };
  const answer = await fetch(url, { headers });
  const etag = answer.headers.get("etag") ?? "";
  expect(answer.headers.get("cache-control")).toContain("immutable");
  expect((await fetch(url, { headers: { ...headers, "if-none-match": etag } })).status).toBe(304);
  const forged = `${"0".repeat(64)}.json`;
  writeFileSync(file(forged), "{}");
  expect((await fetch(url.replace(name, forged), { headers })).status).toBe(404);
});

it("is not ready while its directory can't be read, and says what to do", async () => {
  rmSync(test.folder.releases, { recursive: true });
  await look();
  // What was read before goes on: the first look of this process was a clean one.
  expect(await operatorClient(test.plane.url).call("getReady", {})).toMatchObject({ ok: true });
  expect(test.logged.at(-1)?.message).toMatch(/^The release directory can't be read/);
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
