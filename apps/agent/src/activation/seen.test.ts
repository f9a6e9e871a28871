import { FIRST_ATTEMPT, type HostRollout, nextAttempt } from "@nixwave/effects";
import { journal, rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hasStrayUnit, isBusy } from "./seen.ts";
import type { UnitRef } from "./unit.ts";
import { type WorkerBench, workerBench } from "./worker.fixture.ts";

let bench: WorkerBench;
vi.setConfig({ testTimeout: 30_000 });
beforeEach(async () => {
  bench = workerBench();
  bench.loop.acknowledge(bench.newClosure(), bench.old);
  await bench.reaches("Soaking");
});
afterEach(() => bench.remove());

const OURS = journal("1");
const UNIT: UnitRef = {
  rolloutId: rollout("stable@a1"),
  journalId: OURS,
  attempt: FIRST_ATTEMPT,
  purpose: "switch",
  tryNo: 1,
};
const isStray = (record: HostRollout | null) =>
  hasStrayUnit(bench.host.activation, OURS, () => record);

test("the unit that a record fired is known to it, whatever became of the record", async () => {
  expect(await isStray(bench.loop.record)).toBe(false);
  const later = { ...bench.loop.record, attempt: nextAttempt(FIRST_ATTEMPT) };
  expect(await isStray(later)).toBe(false);
});

test("a unit of this journal that no record knows proves that the journal was set back", async () => {
  expect(await isStray(null)).toBe(true);
  await fire({ ...UNIT, purpose: "rollback" });
  expect(await isStray(bench.loop.record)).toBe(true);
});

test("a unit of a later attempt than the record's is one too", async () => {
  await fire({ ...UNIT, attempt: nextAttempt(FIRST_ATTEMPT) });
  expect(await isStray(bench.loop.record)).toBe(true);
});

test("a unit of a former journal is not: that one is known to be lost", async () => {
  await fire({ ...UNIT, journalId: journal("2"), tryNo: 9 });
  expect(await isStray(bench.loop.record)).toBe(false);
});

test("busy is a unit that runs, of whatever journal", async () => {
  expect(await isBusy(bench.host.activation)).toBe(false);
  const stranger: UnitRef = { ...UNIT, journalId: journal("2"), purpose: "rollback" };
  const closure = bench.host.makeClosure("hang", { switch: "exec sleep 1009" });
  await bench.host.activation.fire({ unit: stranger, closure, deadlineSecs: 60 });
  expect(await isBusy(bench.host.activation)).toBe(true);
});

async function fire(unit: UnitRef): Promise<void> {
  const closure = bench.host.makeClosure("quick", { switch: ":" });
  await bench.host.activation.fire({ unit, closure, deadlineSecs: 60 });
  await bench.host.activation.ended(unit, new AbortController().signal);
}
