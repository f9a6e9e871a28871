import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Release } from "@nixwave/effects";
import type { Verified } from "@nixwave/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, copyDatabase, openBench } from "./bench.fixture.ts";
import { CRASH_POINTS, type CrashPoint } from "./crashPoint.ts";
import { releaseOf, TestAgent } from "./fleet.fixture.ts";
import { check, isClean } from "./maintenance/check.ts";
import { seen, sent } from "./scenes.fixture.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-killed-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** What was on disk, and what each agent knew, at one instant of the story. */
interface Moment {
  readonly point: CrashPoint;
  readonly path: string;
  readonly agents: readonly TestAgent[];
}

/** Agents come again and again, with all that they have, until nothing is new: a client that knows nothing of commits. */
async function live(
  bench: Bench,
  agents: readonly TestAgent[],
  release: Verified<Release>,
): Promise<void> {
  await seen(bench, release);
  for (let round = 0; round < 5; round++) {
    for (const agent of agents) {
      await bench.ask<"Heartbeat">(agent.heartbeat());
      const taken = await bench.ask<"TakeDispatch">(agent.poll());
      if (taken.kind === "offer" && !agent.streams.has(taken.offer.rolloutId)) {
        if (agent.host === "web-3") agent.badRun(taken.offer, bench.time.now);
        else agent.goodRun(taken.offer, bench.time.now);
      }
      for (const lines of agent.streams.values()) {
        await sent(bench, agent, lines.slice(0, 3));
        await sent(bench, agent, lines);
      }
    }
    bench.time.pass(121);
  }
}

function outcome(bench: Bench) {
  const fleet = bench.writer.fleet();
  return {
    rollouts: fleet
      .channels()
      .flatMap((channel) => fleet.rolloutsOf(channel).map(({ kind }) => kind)),
    records: [...fleet.hostNames()]
      .flatMap((host) => fleet.recordsOf(host))
      .map(({ host, kind, attempt, lastSeq }) => `${host} ${kind} ${attempt} ${lastSeq}`)
      .toSorted(),
    quarantines: fleet.quarantines().map(({ closure }) => closure),
    clean: isClean(check(bench.db)),
  };
}

test("killed at any crash point of any commit, it goes on to the same end (I6, I14)", async () => {
  // The bad host is alone in its wave: beside others, a kill could decide which of them the halt comes before.
  const release = await releaseOf({ waves: [["web-1", "web-2"], ["web-3"]], version: "new" });
  const agents = ["web-1", "web-2", "web-3"].map((name) => new TestAgent(name));
  const moments: Moment[] = [];
  const bench = await openBench();
  bench.crash = {
    point(point) {
      const path = join(dir, `${moments.length}.db`);
      copyDatabase(bench.path, path);
      moments.push({ point, path, agents: agents.map((agent) => agent.copy()) });
    },
  };
  await live(bench, agents, release);
  const expected = outcome(bench);
  await bench.close();
  expect(expected).toMatchObject({ rollouts: ["Reverted"], clean: true });
  expect(new Set(moments.map(({ point }) => point))).toEqual(new Set(CRASH_POINTS));
  for (const moment of unlike(moments)) {
    const resumed = await openBench(moment.path);
    await live(resumed, moment.agents, release);
    expect({ at: moment.point, ...outcome(resumed) }).toEqual({ at: moment.point, ...expected });
    await resumed.close();
  }
}, 120_000);

/** The files are the same from the commit on until the next one, so one moment for each commit and side of it is enough. */
const unlike = (moments: readonly Moment[]): readonly Moment[] =>
  moments.filter(
    ({ point }) =>
      point === "before-commit" || point === "inside-commit" || point === "after-commit",
  );
