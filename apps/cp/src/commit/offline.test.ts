import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { offered, opened, seen, sent } from "../scenes.fixture.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

test("a host that is away is passed over after its grace, and joins the release of the day when it is back (hazard 34)", async () => {
  const [here, away, later] = ["web-1", "web-2", "web-3"].map((name) => new TestAgent(name));
  if (here === undefined || away === undefined || later === undefined) throw new Error("three");
  const waves = [["web-1", "web-2"], ["web-3"]];
  const policy = { offlineGraceSecs: 600 };
  const cursor = () => bench.writer.fleet().newestRollout(channel)?.cursor;
  const first = await releaseOf({ waves, version: "first", policy });
  const { channel } = first.value;
  await opened(bench, [here, away, later], first);
  await sent(bench, here, here.goodRun(await offered(bench, here), bench.time.now));
  const present = async (secs: number) => {
    await bench.pass(secs);
    for (const agent of [here, later]) await bench.ask<"Heartbeat">(agent.heartbeat());
  };
  await present(599);
  expect(cursor()).toBe(1);
  await present(1);
  expect(cursor()).toBe(2);
  await sent(bench, later, later.goodRun(await offered(bench, later), bench.time.now));
  expect(bench.writer.fleet().newestRollout(channel)?.kind).toBe("Completed");
  const createdAt = bench.time.now;
  const second = await releaseOf({ waves, version: "second", policy, createdAt });
  await seen(bench, second);
  await bench.ask<"Heartbeat">(away.heartbeat());
  expect(await offered(bench, away)).toMatchObject({ rolloutId: second.value.rolloutId });
});
