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

async function heartbeat() {
  const heard = await bench.ask<"Heartbeat">(agent.heartbeat());
  if (heard.kind !== "heard") throw new Error(heard.sentence);
  return heard;
}

test("a heartbeat touches no record and mints no number; none is committed of its own (hazard 2)", async () => {
  const commits = bench.commits;
  const records = bench.writer.fleet().recordsOf(agent.host);
  expect(await heartbeat()).toMatchObject({ intervalSecs: 60, replayFrom: {}, want: [] });
  expect(bench.commits).toBe(commits);
  expect(bench.writer.fleet().recordsOf(agent.host)).toEqual(records);
});

test("streams of which the agent has more are asked for from the first missing number, and soon again", async () => {
  const offer = await offered(bench, agent);
  const lines = agent.goodRun(offer, bench.time.now);
  await sent(bench, agent, lines.slice(0, 2));
  expect(await heartbeat()).toMatchObject({
    intervalSecs: 5,
    replayFrom: { [offer.rolloutId]: 3 },
  });
});

test("the log head that is shown was committed before: it is that of the last answer or older", async () => {
  const offer = await offered(bench, agent);
  const before = bench.writer.logHead();
  const [heard] = await Promise.all([
    heartbeat(),
    sent(bench, agent, [agent.write(offer.rolloutId, ack(offer, bench.time.now))]),
  ]);
  expect(heard.logHead).toEqual(before);
  expect(bench.writer.logHead()?.offset).toBeGreaterThan(before?.offset ?? 0);
});

test("after a failure the unit's output is asked for, a few times", async () => {
  await sent(bench, agent, agent.badRun(await offered(bench, agent), bench.time.now));
  const wants = [];
  for (let round = 0; round < 5; round++) wants.push((await heartbeat()).want.length);
  expect(wants).toEqual([1, 1, 1, 0, 0]);
});
