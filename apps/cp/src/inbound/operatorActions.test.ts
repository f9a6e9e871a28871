import { addSecs, type HostName } from "@nixwave/effects";
import type { Client, RolloutSummary } from "@nixwave/protocol";
import { channelName, closure, hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fleetOf, openPlane, type TestPlane } from "../endToEnd/plane.fixture.ts";
import { operatorClient, ScriptedAgent } from "../endToEnd/scriptedAgent.fixture.ts";

let test: TestPlane;
let ops: Client;
let agents: ReadonlyMap<HostName, ScriptedAgent>;
const OLD = closure("old");
const NAMES = ["canary", "web-1", "web-2"].map(hostName);
const [canary, web1, web2] = NAMES;
if (canary === undefined || web1 === undefined || web2 === undefined)
  throw new Error("three names");

beforeEach(async () => {
  test = await openPlane();
  ops = operatorClient(test.plane.url, "ops-2");
  agents = new Map(
    NAMES.map((host) => [host, new ScriptedAgent(test.plane.url, { host, running: OLD })]),
  );
  for (const agent of agents.values()) await agent.heartbeat();
});
afterEach(() => test.close());

function sure<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (result.ok) return result.value;
  throw new Error(JSON.stringify(result.error));
}

const agent = (host: HostName): ScriptedAgent => {
  const found = agents.get(host);
  if (found === undefined) throw new Error(`no agent ${host}`);
  return found;
};

async function dispatched(host: HostName) {
  const offer = await agent(host).poll(0);
  if (offer === null) throw new Error(`${host} was not dispatched`);
  return offer;
}

const gateOf = async (host: HostName): Promise<unknown> => {
  const { explanation } = sure(await ops.call("getWhy", { params: { host } }));
  const { answer } = explanation;
  return answer.kind === "gate" ? { ...answer.block, clears: explanation.clears } : answer.kind;
};

/** What people did, as the log has it. */
const actions = async (): Promise<readonly unknown[]> => {
  const { items } = sure(await ops.call("getEvents", { query: { limit: 500 } }));
  return items.flatMap((line) => {
    if (line.kind !== "RolloutInput" && line.kind !== "FleetInput") return [];
    const { input } = line;
    if (input.kind === "Frozen") return [[input.kind, input.freeze.by, input.freeze.reason]];
    return "by" in input ? [[input.kind, input.by, input.reason]] : [];
  });
};

const open = () => test.release(fleetOf("new", [["canary"], ["web-1", "web-2"]]), "new");

it("pause holds, says who and until when, ends by itself; resume ends it at once; both are in the log", async () => {
  const { rolloutId } = await open();
  const params = { rolloutId };
  const until = addSecs(test.time.now, 600);
  const paused: RolloutSummary = sure(
    await ops.call("pauseRollout", { params, body: { reason: "lunch", until } }),
  );
  expect(paused).toMatchObject({ state: "Active", pause: { by: "ops-2", reason: "lunch", until } });
  expect(paused.next[0]).toMatch(/^nixwave resume stable@[0-9a-f]{7} --reason/);
  expect(await gateOf(canary)).toMatchObject({ gate: "paused", pause: { by: "ops-2" } });
  expect(await agent(canary).poll(0)).toBeNull();
  const body = { reason: "back" };
  expect(sure(await ops.call("resumeRollout", { params, body })).pause).toBeNull();
  expect((await dispatched(canary)).wave).toBe(1);
  expect(await actions()).toEqual([
    ["OperatorPaused", "ops-2", "lunch"],
    ["OperatorResumed", "ops-2", "back"],
  ]);
});

it("a freeze of one host holds that host alone, is listed, and is lifted once", async () => {
  await test.release(fleetOf("new", [["web-1", "web-2"]]), "new");
  // Its dispatch is queued already, and is taken back.
  const scope = { kind: "hosts" as const, hosts: [web1] };
  const freeze = sure(
    await ops.call("postFreeze", { body: { scope, reason: "disk", until: null } }),
  );
  expect(freeze).toMatchObject({ by: "ops-2", reason: "disk", scope });
  expect(await agent(web1).poll(0)).toBeNull();
  expect(await gateOf(web1)).toMatchObject({ gate: "frozen" });
  expect((await dispatched(web2)).attempt).toBe(1);
  expect(sure(await ops.call("getFreezes", {})).items).toEqual([freeze]);
  expect(sure(await ops.call("getStatus", {})).channels[0]?.freezes).toEqual([freeze]);
  const lift = { params: { freezeId: freeze.freezeId }, body: { reason: "disk changed" } };
  sure(await ops.call("liftFreeze", lift));
  expect((await dispatched(web1)).attempt).toBe(1);
  expect(await ops.call("liftFreeze", lift)).toMatchObject({ ok: false, error: { status: 404 } });
  expect(await actions()).toEqual([
    ["Frozen", "ops-2", "disk"],
    ["Unfrozen", "ops-2", "disk changed"],
  ]);
});

it("advance takes a wave as complete, once", async () => {
  const { rolloutId } = await open();
  expect(await gateOf(web1)).toMatchObject({ gate: "wave" });
  const call = { params: { rolloutId }, body: { reason: "canary is away", wave: 1 } };
  expect(sure(await ops.call("advanceRollout", call))).toMatchObject({ cursor: 2 });
  expect((await dispatched(web1)).wave).toBe(2);
  const view = sure(await ops.call("getRollout", { params: { rolloutId } }));
  expect(view.waves.map(({ state }) => state)).toEqual(["advanced", "open"]);
  // The wave is named, so that doing it twice skips none.
  expect(sure(await ops.call("advanceRollout", call))).toMatchObject({ cursor: 2 });
});

it("lift and clear let a rolled back host try again; a host that is not owed one is told so", async () => {
  const { rolloutId } = await open();
  const offer = await dispatched(canary);
  await agent(canary).rollBack(offer);
  expect(sure(await ops.call("getStatus", {})).next.slice(0, 2)).toEqual([
    "nixwave why canary",
    expect.stringMatching(/^nixwave clear stable@/),
  ]);
  const params = { channel: channelName("stable"), closure: offer.targetClosure };
  const body = { reason: "the probe was wrong" };
  expect(sure(await ops.call("liftQuarantine", { params, body }))).toMatchObject({
    host: "canary",
  });
  expect(await ops.call("liftQuarantine", { params, body })).toMatchObject({
    ok: false,
    error: { status: 404 },
  });
  expect(sure(await ops.call("clearRollout", { params: { rolloutId }, body }))).toMatchObject({
    state: "Active",
    halted: null,
  });
  expect((await dispatched(canary)).attempt).toBe(2);
  expect(await actions()).toEqual([
    ["QuarantineLifted", "ops-2", "the probe was wrong"],
    ["OperatorCleared", "ops-2", "the probe was wrong"],
  ]);
});

it("cancel ends a rollout, says where to read who did it, and nothing but a successor follows", async () => {
  const { rolloutId } = await open();
  const call = { params: { rolloutId }, body: { reason: "wrong branch" } };
  const cancelled = sure(await ops.call("cancelRollout", call));
  expect(cancelled).toMatchObject({ state: "Failed", halted: { cause: "cancelled", host: null } });
  expect(cancelled.halted?.reason).toContain("nixwave events --rollout stable@");
  expect(cancelled.next).toEqual(["nixwave release"]);
  expect(await agent(canary).poll(0)).toBeNull();
  expect(await ops.call("clearRollout", call)).toMatchObject({
    ok: false,
    error: { code: "conflict" },
  });
});

it("hazard 95, 96: each host has one word, and each that does not move has its reason and what to type", async () => {
  const { rolloutId } = await test.release(
    fleetOf("new", [["canary", "web-1"], ["web-2"]], {
      budgets: [{ name: "one", select: { all: true }, maxInFlight: 1 }],
    }),
    "new",
  );
  const view = sure(await ops.call("getRollout", { params: { rolloutId } }));
  expect(view.budgets).toEqual([{ name: "one", hosts: 3, held: 1, maxInFlight: 1 }]);
  expect(
    view.waves.map(({ heldBy }) => heldBy.map(({ hosts, example }) => [hosts, example.host])),
  ).toEqual([[[1, "web-1"]], [[1, "web-2"]]]);
  expect(await gateOf(web1)).toMatchObject({ gate: "budget", budget: "one", holders: ["canary"] });
  const why = sure(await ops.call("getWhy", { params: { host: web1 } }));
  expect(why.mentions.map(({ host }) => host)).toEqual(["canary"]);
  await agent(canary).send(rolloutId, agent(canary).upToHealth(await dispatched(canary), "pass"));
  const { items, total } = sure(await ops.call("getRolloutHosts", { params: { rolloutId } }));
  expect(total).toBe(3);
  expect(items.map(({ host, shown }) => [host, shown])).toEqual([
    ["canary", "soaking"],
    ["web-1", "waiting"],
    ["web-2", "waiting"],
  ]);
  const soaking = { params: { rolloutId }, query: { shown: "soaking" as const } };
  expect(sure(await ops.call("getRolloutHosts", soaking)).items).toHaveLength(1);
  const page = sure(await ops.call("getHosts", { query: { limit: 2 } }));
  expect(page).toMatchObject({ next: "web-1", total: 3 });
  const channels = sure(await ops.call("getChannels", { query: {} }));
  expect(channels).toEqual({
    items: sure(await ops.call("getStatus", {})).channels,
    next: null,
    total: 1,
  });
  const rest = sure(await ops.call("getHosts", { query: { limit: 2, cursor: "web-1" } }));
  expect(rest).toMatchObject({ next: null, items: [{ host: "web-2" }] });
  const timeline = sure(await ops.call("getTimeline", { params: { host: canary } }));
  expect(timeline.items.map(({ from, to }) => `${from} ${to}`)).toEqual([
    "Activating Soaking",
    "Pending Activating",
  ]);
  expect(timeline.logBeginsAt).toBeNull();
});

it("hazard 73: a host in no release is shown with what it runs, and what it never said is null", async () => {
  const { row, record, leaving } = sure(await ops.call("getHost", { params: { host: web1 } }));
  expect(row).toMatchObject({
    currentClosure: OLD,
    channel: null,
    wave: null,
    targetClosure: null,
  });
  expect({ record, leaving }).toEqual({ record: null, leaving: null });
  const nobody = sure(await ops.call("getWhy", { params: { host: hostName("nobody") } }));
  expect(nobody.row).toMatchObject({ currentClosure: null, lastHeardAt: null, wave: null });
});

it("on a full disk nothing is half done: 503 with when to come back, not ready, and on by itself after", async () => {
  const { rolloutId } = await open();
  test.disk.full = true;
  const call = { params: { rolloutId }, body: { reason: "lunch", until: null } };
  const refused = await ops.call("pauseRollout", call);
  expect(refused).toMatchObject({ ok: false, error: { status: 503, code: "not-stored" } });
  expect(
    refused.ok || ("retryAfterSecs" in refused.error && refused.error.retryAfterSecs),
  ).toBeGreaterThan(0);
  expect(await ops.call("getReady", {})).toMatchObject({
    ok: false,
    error: {
      code: "not-ready",
      detail: expect.stringMatching(/^The database can't be written: free space/),
    },
  });
  // Reads go on, from what was committed.
  expect(sure(await ops.call("getStatus", {})).channels[0]?.rollout?.pause).toBeNull();
  test.disk.full = false;
  test.time.pass(60);
  expect(sure(await ops.call("pauseRollout", call)).pause).toMatchObject({ reason: "lunch" });
  expect(await ops.call("getReady", {})).toMatchObject({ ok: true });
  expect(await actions()).toEqual([["OperatorPaused", "ops-2", "lunch"]]);
});
