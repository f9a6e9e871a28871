import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { NO_CRASH } from "../crashPoint.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";
import { openReader, type Reader } from "../store/reader.ts";
import type { LogFilter } from "./eventLog.ts";
import { namesOf } from "./names.ts";
import { parseLine } from "./read.ts";
import { FIRST_OFFSET } from "./segment.ts";

let bench: Bench;
let reader: Reader;
const agents = () => ["web-1", "web-2"].map((name) => new TestAgent(name));
beforeEach(async () => {
  bench = await openBench();
  reader = openReader(bench.path);
  const both = agents();
  await opened(bench, both, await releaseOf({ waves: [["web-1", "web-2"]], version: "new" }));
  for (const agent of both) {
    const offer = await offered(bench, agent);
    const lines = agent.goodRun(offer, bench.time.now);
    for (const line of lines) await sent(bench, agent, [line]);
  }
});
afterEach(async () => {
  reader.close();
  await bench.close();
});

/** Every line that pages of this size give, one page after the other. */
function paged(filter: LogFilter, limit: number) {
  const lines = [];
  let from = FIRST_OFFSET;
  for (;;) {
    const page = reader.events(filter, { from, limit });
    lines.push(...page.lines);
    from = page.next;
    if (!page.more) return lines;
  }
}

test("pages of any size give the whole log once, in order", () => {
  const whole = paged({}, 1000);
  expect(whole.map(({ offset }) => Number(offset))).toEqual(whole.map((_, place) => place));
  for (const limit of [1, 2, 3, 7]) expect(paged({}, limit)).toEqual(whole);
});

test("a filter by the index gives the same lines as looking at every one", () => {
  const whole = paged({}, 1000).map((each) => ({ ...each, parsed: parseLine(each.line) }));
  const host = new TestAgent("web-2").host;
  const rolloutId = [...new Set(whole.flatMap(({ parsed }) => namesOf(parsed).rolloutId ?? []))][0];
  if (rolloutId === undefined) throw new Error("no rollout in the log");
  const filters: readonly LogFilter[] = [
    { host },
    { rolloutId },
    { host, rolloutId },
    { host, kind: "AgentEvent" },
    { kind: "DispatchChanged" },
  ];
  for (const filter of filters) {
    const expected = whole
      .filter(({ parsed }) => filter.host === undefined || namesOf(parsed).host === filter.host)
      .filter(
        ({ parsed }) =>
          filter.rolloutId === undefined || namesOf(parsed).rolloutId === filter.rolloutId,
      )
      .filter(({ parsed }) => filter.kind === undefined || parsed.kind === filter.kind)
      .map(({ offset, line }) => ({ offset, line }));
    expect(expected.length).toBeGreaterThan(0);
    for (const limit of [2, 1000]) expect(paged(filter, limit)).toEqual(expected);
  }
});

test("the end of a page is where a follower goes on, also when nothing matched", async () => {
  const filter = { kind: "ReleaseRefused" };
  const { next, more } = reader.events(filter, { from: FIRST_OFFSET, limit: 10 });
  expect(more).toBe(false);
  expect(next).toBe((bench.writer.logHead()?.offset ?? 0) + 1);
  const { channel } = (await releaseOf({ waves: [["web-1"]], version: "new" })).value;
  await bench.ask<"ReleaseUnreadable">({
    kind: "ReleaseUnreadable",
    channel,
    code: "missing",
    reason: "gone",
  });
  expect(reader.events(filter, { from: next, limit: 10 }).lines).toHaveLength(1);
});

test("views read records, transitions, dispatches and hosts over a connection of their own", async () => {
  await bench.pass(31);
  const [one] = agents();
  if (one === undefined) throw new Error("no agent");
  const { host } = one;
  const [record] = reader.recordsOfHost(host);
  expect(record?.kind).toBe("Converged");
  const moves = reader
    .transitions({ host, after: null, limit: 10 })
    .map(({ from, to }) => `${from} ${to}`);
  expect(moves).toEqual(["Pending Activating", "Activating Soaking", "Soaking Converged"]);
  expect(reader.dispatchesOfHost(host).map(({ state }) => state)).toEqual(["acknowledged"]);
  expect(reader.hosts({ after: host, limit: 10 }).map((each) => each.host)).toEqual(["web-2"]);
  expect(reader.host(host)?.journals).toHaveLength(1);
  expect(reader.rollouts({ state: "Completed" })).toHaveLength(1);
  expect(reader.rollouts({ state: "Failed" })).toEqual([]);
});

test("a view sees a commit whole or not at all (hazard 69)", async () => {
  const seen: string[] = [];
  const look = (point: string) => {
    const [lines, rows] = [
      reader.events({ kind: "ReleaseRefused" }, { from: FIRST_OFFSET, limit: 10 }).lines.length,
      reader.freezes().length,
    ];
    seen.push(`${point} ${lines} ${rows}`);
  };
  bench.crash = {
    point(name) {
      if (name.endsWith("-commit")) look(name);
    },
  };
  const { channel } = (await releaseOf({ waves: [["web-1"]], version: "new" })).value;
  const who = { by: "ops", reason: "a test" };
  await Promise.all([
    bench.ask<"ReleaseUnreadable">({
      kind: "ReleaseUnreadable",
      channel,
      code: "missing",
      reason: "gone",
    }),
    bench.ask<"Freeze">({ kind: "Freeze", ...who, scope: { kind: "all" }, until: null }),
  ]);
  bench.crash = NO_CRASH;
  expect(seen).toEqual(["before-commit 0 0", "inside-commit 0 0", "after-commit 1 1"]);
});
