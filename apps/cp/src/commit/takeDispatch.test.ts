import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { ack, releaseOf, TestAgent } from "../fleet.fixture.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";

let bench: Bench;
let agent: TestAgent;
beforeEach(async () => {
  bench = await openBench();
  agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
});
afterEach(async () => {
  await bench.close();
});

const poll = (holding: Parameters<TestAgent["poll"]>[0] = null) =>
  bench.ask<"TakeDispatch">(agent.poll(holding));

test("what was handed out is on disk before it is answered, and leased, not deleted", async () => {
  const offer = await offered(bench, agent);
  const stored = bench.db.prepare("SELECT state FROM dispatches").pluck().all();
  expect(stored).toEqual(["handed-out"]);
  expect(await poll()).toEqual({ kind: "none", askAgainAt: bench.time.now + 120_000 });
  bench.time.pass(119);
  expect((await poll()).kind).toBe("none");
  bench.time.pass(1);
  expect(await poll()).toEqual({ kind: "offer", offer });
});

test("a poll that holds it renews the lease; one that does not lets it run out", async () => {
  const { rolloutId, attempt } = await offered(bench, agent);
  bench.time.pass(100);
  expect(await poll({ rolloutId, attempt })).toEqual({ kind: "held" });
  bench.time.pass(100);
  expect((await poll()).kind).toBe("none");
  bench.time.pass(20);
  expect((await poll()).kind).toBe("offer");
});

test("after a restart every lease counts from then, and the rows still are what the log says", async () => {
  const { rolloutId, attempt } = await offered(bench, agent);
  bench.time.pass(100);
  await poll({ rolloutId, attempt });
  await bench.reopen();
  bench.time.pass(100);
  expect((await poll()).kind).toBe("none");
  bench.time.pass(20);
  expect((await poll()).kind).toBe("offer");
});

test("it is handed out no more once it is acknowledged", async () => {
  const offer = await offered(bench, agent);
  await sent(bench, agent, [agent.write(offer.rolloutId, ack(offer, bench.time.now))]);
  bench.time.pass(200);
  expect(await poll()).toEqual({ kind: "none", askAgainAt: null });
});

test("a pause takes back what nobody has acknowledged, in the commit of the pause (hazard 18)", async () => {
  const rolloutId = bench.writer.fleet().openDispatch(agent.host)?.rolloutId;
  if (rolloutId === undefined) throw new Error("nothing was dispatched");
  const [, taken] = await Promise.all([
    bench.ask<"Pause">({ kind: "Pause", by: "ops", reason: "look first", rolloutId, until: null }),
    poll(),
  ]);
  expect(taken.kind).toBe("none");
  await bench.ask<"Resume">({ kind: "Resume", by: "ops", reason: "fine", rolloutId });
  expect((await poll()).kind).toBe("offer");
});
