import { hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { TestAgent } from "../fleet.fixture.ts";
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
