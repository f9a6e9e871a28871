import { addSecs, type Offset } from "@nixwave/effects";
import { channelName, hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { whyOf } from "../inbound/operatorReads.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";
import { openReader, type Reader } from "../store/reader.ts";
import { checkpointsOf } from "../store/snapshot.ts";
import { beginsAfter } from "./logLines.ts";
import { rolloutOf } from "./rolloutSummary.ts";
import { rolloutView } from "./rolloutView.ts";

let bench: Bench;
let reader: Reader;
const host = hostName("web-1");
beforeEach(async () => {
  bench = await openBench();
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  await sent(bench, agent, agent.goodRun(await offered(bench, agent), bench.time.now));
  reader = openReader(bench.path);
});
afterEach(async () => {
  reader.close();
  await bench.close();
});

/** All that was said so far leaves the log, as retention has it leave. */
async function forgotten(): Promise<Offset> {
  const endedBefore = addSecs(bench.time.now, -86_400);
  await bench.ask<"Retain">({ kind: "Retain", endedBefore, checkpoint: true });
  const [checkpoint] = checkpointsOf(bench.db);
  if (checkpoint === undefined) throw new Error("a checkpoint was asked for");
  await bench.ask<"DropArchived">({ kind: "DropArchived", before: checkpoint.offset });
  return checkpoint.offset;
}

/** What each view says of the log's beginning. */
function said() {
  const clock = { now: () => bench.time.now };
  const fleet = bench.writer.fleet();
  const newest = fleet.newestRollout(channelName("stable"));
  const of = newest === null ? null : rolloutOf(fleet, newest.rolloutId);
  if (of === null) throw new Error("a rollout was opened");
  const beginsAt = reader.logBeginsAt();
  const at = { now: bench.time.now, newest: null, completed: new Map(), beginsAt };
  const [first] = reader.transitions({ host, after: null, limit: 1 });
  return {
    why: whyOf({ writer: bench.writer, reader, clock }, host),
    rollout: rolloutView(fleet, of, at).logBeginsAt,
    timeline: beginsAfter(reader, first?.offset ?? null),
  };
}

test("where the log begins is said wherever what is told goes back to before it, and nowhere else", async () => {
  expect(said()).toMatchObject({ why: { logBeginsAt: null, events: 6 }, timeline: null });
  const begins = await forgotten();
  expect(said()).toMatchObject({
    why: { logBeginsAt: begins, events: 0, row: { shown: "converged" } },
    rollout: begins,
    timeline: begins,
  });
});
