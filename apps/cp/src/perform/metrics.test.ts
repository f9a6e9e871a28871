import { closure } from "@nixwave/testkit";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";
import { createMetrics } from "./metrics.ts";

let bench: Bench;
let registry: Registry;
beforeEach(async () => {
  bench = await openBench();
  registry = new Registry();
  bench.metrics = createMetrics(registry, {
    fleet: () => bench.writer.fleet(),
    clock: { now: () => bench.time.now },
    version: "1.2.3",
  });
});
afterEach(async () => {
  await bench.close();
});

/** The samples of one metric, as a scrape shows them. */
const scraped = async (name: string): Promise<readonly string[]> =>
  (await registry.metrics()).split("\n").filter((line) => line.startsWith(name));

test("an event in is a count out, and the gauges say what the fleet is (hazard 98)", async () => {
  const agents = ["web-1", "web-2"].map((name) => new TestAgent(name));
  const [one] = agents;
  if (one === undefined) throw new Error("no agent");
  await opened(bench, agents, await releaseOf({ waves: [["web-1"], ["web-2"]], version: "new" }));
  const offer = await offered(bench, one);
  const lines = one.goodRun(offer, bench.time.now);
  await sent(bench, one, lines);
  await sent(bench, one, lines);
  expect(await scraped("nixwave_host_transitions_total")).toContain(
    'nixwave_host_transitions_total{from="Soaking",to="Converged",channel="stable"} 1',
  );
  expect(await scraped("nixwave_events_duplicated_total")).toEqual([
    "nixwave_events_duplicated_total 6",
  ]);
  expect(await scraped('nixwave_hosts{channel="stable",state="Converged"}')).toEqual([
    'nixwave_hosts{channel="stable",state="Converged"} 1',
  ]);
  expect(await scraped('nixwave_rollouts{state="Active"}')).toEqual([
    'nixwave_rollouts{state="Active"} 1',
  ]);
  expect(await scraped("nixwave_dispatch_seconds_count")).toEqual([
    "nixwave_dispatch_seconds_count 1",
  ]);
  expect(await scraped("nixwave_build_info")).toEqual(['nixwave_build_info{version="1.2.3"} 1']);
});

test("refused lines are counted by code, and a failed commit is counted", async () => {
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  const { rolloutId } = await offered(bench, agent);
  const line = agent.write(rolloutId, { kind: "RollbackStarted", startedAt: bench.time.now });
  await sent(bench, agent, [line]);
  expect(await scraped("nixwave_events_refused_total{")).toEqual([
    'nixwave_events_refused_total{code="illegal-in-state"} 1',
  ]);
  bench.broken = new Error("full");
  await bench.writer.submit<"Heartbeat">(new TestAgent("web-1", "b").heartbeat());
  expect(await scraped("nixwave_commits_failed_total")).toEqual(["nixwave_commits_failed_total 1"]);
});

test("no label is ever a host's name", async () => {
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  await sent(bench, agent, agent.badRun(await offered(bench, agent), bench.time.now));
  expect(await registry.metrics()).not.toContain("web-1");
});

test("a host has drifted once a heartbeat that knows of its convergence says so", async () => {
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  const offer = await offered(bench, agent);
  const said = agent.heartbeat();
  const runsOther = { currentClosure: closure("other") };
  await bench.writer.submit<"Heartbeat">({ ...said, report: { ...said.report, ...runsOther } });
  await sent(bench, agent, agent.goodRun(offer, bench.time.now));
  expect(await scraped("nixwave_hosts_drifted")).toEqual(["nixwave_hosts_drifted 0"]);
  const later = agent.heartbeat();
  await bench.writer.submit<"Heartbeat">({ ...later, report: { ...later.report, ...runsOther } });
  expect(await scraped("nixwave_hosts_drifted")).toEqual(["nixwave_hosts_drifted 1"]);
});

test("waiting hosts are counted by the gate that holds them now, those of waves to come and under a pause too", async () => {
  const agents = ["web-1", "web-2"].map((name) => new TestAgent(name));
  const release = await releaseOf({ waves: [["web-1"], ["web-2"]], version: "new" });
  await opened(bench, agents, release);
  const waiting = () => scraped("nixwave_hosts_waiting{");
  expect(await waiting()).toEqual(['nixwave_hosts_waiting{gate="wave"} 1']);
  const { rolloutId } = release.value;
  await bench.ask<"Pause">({ kind: "Pause", by: "ops", reason: "x", rolloutId, until: null });
  expect(await waiting()).toEqual(['nixwave_hosts_waiting{gate="paused"} 2']);
});
