import type { RolloutId } from "@nixwave/effects";
import { closure } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { parseLine } from "../log/read.ts";
import { FIRST_OFFSET } from "../log/segment.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";
import { openReader } from "../store/reader.ts";

const WHO = { by: "ops-2", reason: "the probe was wrong" };
let bench: Bench;
let agent: TestAgent;
let rolloutId: RolloutId;
beforeEach(async () => {
  bench = await openBench();
  agent = new TestAgent("web-1");
  const release = await releaseOf({ waves: [["web-1"], ["web-2"]], version: "new" });
  await opened(bench, [agent, new TestAgent("web-2")], release);
  rolloutId = release.value.rolloutId;
});
afterEach(async () => {
  await bench.close();
});

function lineAt(offset: number) {
  const reader = openReader(bench.path);
  const { lines } = reader.events({}, { from: FIRST_OFFSET, limit: 1000 });
  reader.close();
  return parseLine(lines[offset]?.line ?? "");
}

test("an action is in the log with who and why, at the offset that is answered", async () => {
  const done = await bench.ask<"Pause">({ kind: "Pause", ...WHO, rolloutId, until: null });
  if (done.kind !== "done" || done.offset === null) throw new Error("not done");
  expect(lineAt(done.offset)).toMatchObject({
    kind: "RolloutInput",
    input: { kind: "OperatorPaused", ...WHO },
  });
});

test("what can't be done is refused with a sentence and changes nothing", async () => {
  const commits = bench.commits;
  const refused = await bench.ask<"Resume">({ kind: "Resume", ...WHO, rolloutId });
  expect(refused).toMatchObject({ kind: "refused", code: "conflict" });
  expect(refused.kind === "refused" && refused.sentence).toMatch(/paused\.$/);
  expect(bench.commits).toBe(commits);
});

test("a bad release and a wrong probe: lift, clear, and the host gets one more attempt", async () => {
  const offer = await offered(bench, agent);
  await sent(bench, agent, agent.badRun(offer, bench.time.now));
  const { targetClosure, channel } = offer;
  expect(
    (
      await bench.ask<"LiftQuarantine">({
        kind: "LiftQuarantine",
        ...WHO,
        channel,
        closure: targetClosure,
      })
    ).kind,
  ).toBe("done");
  expect((await bench.ask<"Clear">({ kind: "Clear", ...WHO, rolloutId })).kind).toBe("done");
  const again = await offered(bench, agent);
  expect(again).toMatchObject({ rolloutId, attempt: 2 });
});

test("a freeze of somebody else is lifted by an admin only", async () => {
  const frozen = await bench.ask<"Freeze">({
    kind: "Freeze",
    ...WHO,
    scope: { kind: "all" },
    until: null,
  });
  if (frozen.kind !== "done" || frozen.freezeId === null) throw new Error("not frozen");
  const { freezeId } = frozen;
  const lift = (by: string, mayLiftOthers: boolean) =>
    bench.ask<"Unfreeze">({ kind: "Unfreeze", by, reason: "done", freezeId, mayLiftOthers });
  expect(await lift("ops-1", false)).toMatchObject({ kind: "refused", code: "forbidden" });
  expect(await lift("ops-1", true)).toMatchObject({ kind: "done", freezeId });
  expect(await lift("ops-1", true)).toMatchObject({ kind: "refused", code: "not-found" });
});

test("lifting what is not quarantined is refused", async () => {
  const { channel } = await offered(bench, agent);
  const lifted = await bench.ask<"LiftQuarantine">({
    kind: "LiftQuarantine",
    ...WHO,
    channel,
    closure: closure("other"),
  });
  expect(lifted.kind).toBe("refused");
});

test("advance takes the open wave where none is named", async () => {
  expect(
    (await bench.ask<"Advance">({ kind: "Advance", ...WHO, rolloutId, wave: null })).kind,
  ).toBe("done");
  expect(bench.writer.fleet().rollout(rolloutId)).toMatchObject({ advanced: [1], cursor: 2 });
});
