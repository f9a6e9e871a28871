import type { Release } from "@nixwave/effects";
import { hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fleetOf, openPlane, type TestPlane } from "./plane.fixture.ts";
import { operatorClient, ScriptedAgent } from "./scriptedAgent.fixture.ts";

let test: TestPlane;
let release: Release;
beforeEach(async () => {
  test = await openPlane();
});
afterEach(() => test.close());

const agentOf = (name: string): ScriptedAgent =>
  new ScriptedAgent(test.plane.url, { host: hostName(name), running: null });

/** Long-polls that wait, as the gauge says. */
async function parked(): Promise<number> {
  const answer = await fetch(`${test.plane.url}/metrics`, {
    headers: { "nixwave-operator": "ops" },
  });
  return Number(/^nixwave_polls_parked (\d+)$/m.exec(await answer.text())?.[1]);
}

/** Asks until it is so; the test's own time limit ends it otherwise. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve));
}

it("hazard 77: a dispatch wakes the poll of its host and lets the others sleep", async () => {
  const agents = ["web-1", "web-2", "idle"].map(agentOf);
  for (const agent of agents) await agent.heartbeat();
  const [one, two, idle] = agents.map((agent) => agent.poll(60));
  await until(async () => (await parked()) === 3);
  release = await test.release(fleetOf("new", [["web-1", "web-2"]]), "new");
  expect((await one)?.rolloutId).toBe(release.rolloutId);
  expect((await two)?.rolloutId).toBe(release.rolloutId);
  expect(await parked()).toBe(1);
  await test.plane.stop();
  expect(await idle).toBeNull();
});

it("a lease: handed out once, renewed by the poll that holds it, handed out again when it is over", async () => {
  const agent = agentOf("web-1");
  await agent.heartbeat();
  release = await test.release(fleetOf("new", [["web-1"]]), "new");
  const first = await agent.poll(0);
  if (first === null) throw new Error("expected a dispatch");
  // An answer that was lost: nothing is handed out while the lease lasts.
  expect(await agent.poll(0)).toBeNull();
  const holding = { rolloutId: first.rolloutId, attempt: first.attempt };
  test.time.pass(first.leaseSecs - 20);
  expect(await agent.client.call("getDispatch", { query: { wait: 0, holding } })).toEqual({
    ok: true,
    value: null,
  });
  test.time.pass(40);
  expect(await agent.poll(0)).toBeNull();
  // A poll that is parked when the lease ends is woken by that alone.
  const parkedPoll = agent.poll(120);
  await until(async () => (await parked()) === 1);
  test.time.pass(first.leaseSecs);
  expect(await parkedPoll).toEqual(first);
});

it("a poll ends after its wait with nothing, and a second one takes the place of the first", async () => {
  const agent = agentOf("web-1");
  const first = agent.poll(60);
  await until(async () => (await parked()) === 1);
  const second = agent.poll(60);
  expect(await first).toBeNull();
  await until(async () => (await parked()) === 1);
  test.time.pass(60);
  expect(await second).toBeNull();
});

it("an agent that hangs up frees its place", async () => {
  const agent = agentOf("web-1");
  const hangUp = new AbortController();
  const poll = agent.client.call("getDispatch", { query: { wait: 60 }, signal: hangUp.signal });
  await until(async () => (await parked()) === 1);
  hangUp.abort();
  expect(await poll).toMatchObject({ ok: false, error: { code: "unreachable" } });
  await until(async () => (await parked()) === 0);
});

it("hazard 79: stops with parked polls answered, and refuses what comes then", async () => {
  const agent = agentOf("web-1");
  const poll = agent.poll(60);
  await until(async () => (await parked()) === 1);
  const stopped = test.plane.stop();
  expect(await poll).toBeNull();
  await stopped;
  expect(await operatorClient(test.plane.url).call("getStatus", {})).toMatchObject({
    ok: false,
    error: { code: "unreachable" },
  });
});

it("an old journal is told so, on every route that an agent writes to", async () => {
  await agentOf("web-1").heartbeat();
  const host = hostName("web-1");
  const anew = new ScriptedAgent(test.plane.url, { host, running: null, journal: "2" });
  await anew.heartbeat();
  test.time.pass(31);
  await anew.heartbeat();
  const old = agentOf("web-1").client;
  const refused = { ok: false, error: { code: "old-journal", status: 409 } };
  expect(await old.call("getDispatch", { query: { wait: 0 } })).toMatchObject(refused);
  expect(await old.call("postEvents", { body: "x\n" })).toMatchObject(refused);
  const query = { rolloutId: (await test.release(fleetOf("new", [["web-1"]]), "new")).rolloutId };
  const attempt = (await anew.poll(0))?.attempt;
  if (attempt === undefined) throw new Error("expected a dispatch");
  expect(
    await old.call("postLogs", { query: { ...query, attempt, purpose: "switch" }, body: "x" }),
  ).toMatchObject(refused);
});

it("a unit's output comes back to the operator who asks for it", async () => {
  const agent = agentOf("web-1");
  await agent.heartbeat();
  const { rolloutId } = await test.release(fleetOf("new", [["web-1"]]), "new");
  const offer = await agent.poll(0);
  if (offer === null) throw new Error("expected a dispatch");
  const query = { rolloutId, attempt: offer.attempt, purpose: "switch" as const };
  expect(await agent.client.call("postLogs", { query, body: "unit failed ü\n" })).toEqual({
    ok: true,
    value: null,
  });
  const ops = operatorClient(test.plane.url);
  const params = { host: agent.host };
  expect(await ops.call("getLogs", { params })).toEqual({ ok: true, value: "unit failed ü\n" });
});

it("an event in the name of another host is refused", async () => {
  const web1 = agentOf("web-1");
  const web2 = agentOf("web-2");
  await web1.heartbeat();
  await web2.heartbeat();
  await test.release(fleetOf("new", [["web-1", "web-2"]]), "new");
  const offer = await web1.poll(0);
  if (offer === null) throw new Error("expected a dispatch");
  const line = web1.line(offer.rolloutId, web1.ack(offer));
  expect(await web2.client.call("postEvents", { body: `${line}\n` })).toMatchObject({
    ok: false,
    error: { code: "wrong-host", status: 403 },
  });
});
