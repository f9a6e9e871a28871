import { type HostName, instant, type Release, secsBetween } from "@nixwave/effects";
import type { Client, DispatchOffer, WhyView } from "@nixwave/protocol";
import { closure, hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Folder, makeFolder, runCp, serveCp } from "./process.fixture.ts";
import { putRelease } from "./releaseFolder.fixture.ts";
import { operatorClient, ScriptedAgent } from "./scriptedAgent.fixture.ts";

let folder: Folder;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => folder.remove());

const OLD = closure("old");

/** A canary, then two hosts; each system is called after what the release is called. */
const fleet = (name: string) => ({
  schemaVersion: 1,
  hosts: Object.fromEntries(
    ["canary", "web-1", "web-2"].map((host) => [
      host,
      {
        system: "x86_64-linux",
        channel: "stable",
        closure: closure(`${name}-${host}`),
        tags: host === "canary" ? ["canary"] : ["web"],
      },
    ]),
  ),
  channels: {
    stable: {
      waves: [
        { description: "canary", select: { tags: ["canary"] }, soakSecs: 0 },
        { description: "web", select: { tags: ["web"] }, soakSecs: 0 },
      ],
    },
  },
});

const DAY = Date.UTC(2026, 0, 5, 12);

function agentsOf(url: string): ReadonlyMap<HostName, ScriptedAgent> {
  const names = ["canary", "web-1", "web-2"].map(hostName);
  return new Map(names.map((host) => [host, new ScriptedAgent(url, { host, running: OLD })]));
}

function agent(agents: ReadonlyMap<HostName, ScriptedAgent>, name: string): ScriptedAgent {
  const found = agents.get(hostName(name));
  if (found === undefined) throw new Error(`there is no agent ${name}`);
  return found;
}

function sure<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (result.ok) return result.value;
  throw new Error(JSON.stringify(result.error));
}

function offered(offer: DispatchOffer | null, release: Release): DispatchOffer {
  if (offer === null) throw new Error("expected a dispatch");
  expect(offer.rolloutId).toBe(release.rolloutId);
  return offer;
}

async function why(ops: Client, host: string): Promise<WhyView> {
  return sure(await ops.call("getWhy", { params: { host: hostName(host) } }));
}

async function stateOf(ops: Client, { rolloutId }: Release): Promise<string> {
  const view = sure(await ops.call("getRollout", { params: { rolloutId } }));
  return `${view.rollout.state} ${view.waves.map(({ state }) => state).join(" ")}`;
}

it("a good release converges wave by wave, a bad one rolls back, is quarantined and halts", async () => {
  expect(await runCp("init", "--data", folder.data)).toMatchObject({ code: 0 });
  const good = await putRelease(folder.releases, fleet("good"), { createdAt: DAY, note: "good" });
  const cp = await serveCp(folder);
  const ops = operatorClient(cp.url);
  const agents = agentsOf(cp.url);
  for (const each of agents.values()) await each.heartbeat();

  // Wave 1: the canary alone; a host of wave 2 waits at the gate `wave`, and says so.
  const canary = agent(agents, "canary");
  const first = offered(await canary.poll(20), good);
  expect(first).toMatchObject({ attempt: 1, wave: 1, targetClosure: closure("good-canary") });
  expect(await agent(agents, "web-1").poll(0)).toBeNull();
  expect((await why(ops, "web-1")).explanation.answer).toMatchObject({
    kind: "gate",
    block: { gate: "wave", wave: 2, cursor: 1 },
  });

  // A parked poll of wave 2 is woken by the canary's convergence, not by its own wait.
  const parked = agent(agents, "web-1").poll(60);
  const asked = Date.now();
  expect(await canary.converge(first)).toMatchObject({
    streams: { [good.rolloutId]: { ackedThrough: 6, refused: [] } },
  });
  const second = offered(await parked, good);
  expect(secsBetween(instant(asked), instant(Date.now()))).toBeLessThan(30);
  expect(second.wave).toBe(2);
  expect(await stateOf(ops, good)).toBe("Active complete open");
  await agent(agents, "web-1").converge(second);
  await agent(agents, "web-2").converge(offered(await agent(agents, "web-2").poll(20), good));
  expect(await stateOf(ops, good)).toBe("Completed complete complete");

  // A bad one: the canary rolls back by itself.
  const bad = await putRelease(folder.releases, fleet("bad"), {
    createdAt: DAY + 1000,
    note: "bad",
  });
  const third = offered(await canary.poll(60), bad);
  expect(await canary.rollBack(third)).toMatchObject({
    streams: { [bad.rolloutId]: { ackedThrough: 8, refused: [] } },
  });
  expect(await stateOf(ops, bad)).toBe("Reverted open closed");
  const quarantines = sure(await ops.call("getQuarantines", {}));
  expect(quarantines.items).toMatchObject([
    { channel: "stable", closure: closure("bad-canary"), host: "canary", hosts: 1 },
  ]);
  expect(await why(ops, "canary")).toMatchObject({
    explanation: { answer: { kind: "reverted" } },
    quarantined: true,
    failure: { cause: "health", probes: [{ probeName: "system-stable", reason: "503" }] },
  });
  expect(await agent(agents, "web-1").poll(0)).toBeNull();
  expect((await why(ops, "web-1")).explanation.answer).toMatchObject({
    kind: "gate",
    block: { gate: "rollout-halted", hosts: ["canary"] },
  });
  const status = sure(await ops.call("getStatus", {}));
  expect(status.channels[0]?.rollout?.halted).toMatchObject({ host: "canary", cause: "failures" });
  expect(status.next[0]).toBe("nixwave why canary");

  // The fix converges where the bad one halted.
  const fix = await putRelease(folder.releases, fleet("fix"), {
    createdAt: DAY + 2000,
    note: "fix",
  });
  await canary.converge(offered(await canary.poll(60), fix));
  expect(await stateOf(ops, fix)).toBe("Active complete open");

  expect(await cp.signal("SIGTERM")).toBe(0);
  expect(await runCp("check", "--data", folder.data)).toMatchObject({ code: 0, stderr: "" });
}, 60_000);
