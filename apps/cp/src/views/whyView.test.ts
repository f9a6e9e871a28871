import { hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { ack, releaseOf, TestAgent } from "../fleet.fixture.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";
import { whyView } from "./whyView.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

test.each([
  [30, null],
  [-30, null],
  [31, 31],
  [-95, -95],
])("a host's clock that is %d s off is told as %s", async (clockSkewSecs, told) => {
  const said = new TestAgent("web-1").heartbeat();
  await bench.ask<"Heartbeat">({ ...said, report: { ...said.report, clockSkewSecs } });
  const on = { host: hostName("web-1"), events: [], logBeginsAt: null };
  expect(whyView(bench.writer.fleet(), on, bench.time.now).clockSkewSecs).toBe(told);
});

test("of a host that never said anything nothing is told", () => {
  const on = { host: hostName("web-1"), events: [], logBeginsAt: null };
  expect(whyView(bench.writer.fleet(), on, bench.time.now).clockSkewSecs).toBeNull();
});

test("what an activation waits for is told while it activates, and not of what is over", async () => {
  const agent = new TestAgent("web-1");
  const release = await releaseOf({ waves: [["web-1"]], version: "new" });
  await opened(bench, [agent], release);
  const beat = async (waitsFor: string | null): Promise<string | null> => {
    const said = agent.heartbeat();
    await bench.ask<"Heartbeat">({ ...said, report: { ...said.report, waitsFor } });
    const on = { host: agent.host, events: [], logBeginsAt: null };
    return whyView(bench.writer.fleet(), on, bench.time.now).waitsFor;
  };
  expect(await beat("of an older activation"), "not acknowledged yet").toBeNull();
  const offer = await offered(bench, agent);
  const { now } = bench.time;
  await sent(bench, agent, [agent.write(offer.rolloutId, ack(offer, now))]);
  expect(await beat("no cache answers")).toBe("no cache answers");
  expect(await beat(null)).toBeNull();
  const completed = { observedCurrentClosure: offer.targetClosure, exitCode: 0, completedAt: now };
  const line = agent.write(offer.rolloutId, { kind: "ActivationCompleted", ...completed });
  await sent(bench, agent, [line]);
  expect(await beat("no cache answers"), "soaking").toBeNull();
});
