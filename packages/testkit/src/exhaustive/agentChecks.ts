import { type ClosureHash, type HostRollout, isSettled } from "@nixwave/effects";
import { closureName } from "../build.ts";
import { form } from "./form.ts";
import { type Host, unsettledOf } from "./host.ts";
import type { Watch } from "./watch.ts";

/** I2, I3 and I12, by the machine itself and by the evidence held, never by asking the table that made the move. */
export function checkEvent(
  { machine, host }: Host,
  before: HostRollout,
  after: HostRollout,
  watch: Watch,
): void {
  watch.check(after.attempt >= before.attempt, "I12", () => `the attempt of ${host} goes back`);
  watch.check(after.lastSeq > before.lastSeq, "I12", () => `the number of ${host} goes back`);
  if (after.kind === before.kind) return;
  if (after.kind === "Converged") {
    watch.check(
      machine.running === after.targetClosure && after.currentClosure === after.targetClosure,
      "I2",
      () => `${host} is Converged and runs ${closureName(machine.running)}`,
    );
    watch.check(
      before.kind === "Soaking" && isShown(before),
      "I3",
      () => `${host} is Converged, and not every probe has passed since the activation`,
    );
  }
  if (after.kind !== "Reverted") return;
  watch.check(
    machine.running === after.revertedTo &&
      after.currentClosure === after.revertedTo &&
      after.revertedTo !== after.targetClosure,
    "I2",
    () => `${host} is Reverted and runs ${closureName(machine.running)}`,
  );
}

function isShown(record: HostRollout): boolean {
  if (record.kind !== "Soaking" || record.topology === null) return false;
  const { probes, topology, activationCompletedAt } = record;
  return topology.probes
    .filter(({ mode }) => mode === "enforce")
    .every(({ probeName }) => {
      const evidence = probes[probeName];
      return evidence?.status === "pass" && evidence.observedAt > activationCompletedAt;
    });
}

export function checkRollback({ host, proven }: Host, closure: ClosureHash, watch: Watch): void {
  watch.check(
    proven.includes(closure),
    "unproven",
    () => `${host} rolls back to ${closureName(closure)}, which has never shown its health here`,
  );
}

/** A superseded record never changes, and a host has at most one record that is under way. */
export function checkSuperseded(before: Host, after: Host, watch: Watch): void {
  for (const record of before.records) {
    if (record.supersededBy === null) continue;
    const now = after.records.find(({ rolloutId }) => rolloutId === record.rolloutId);
    watch.check(
      now === undefined || now === record || form(now, String) === form(record, String),
      "superseded",
      () => `${record.rolloutId} on ${after.host} was superseded, and changes`,
    );
  }
  checkOneUnsettled(after, watch);
}

export function checkOneUnsettled({ host, records, mirror }: Host, watch: Watch): void {
  watch.check(
    unsettledOf(records).length <= 1 && unsettledOf(mirror).length <= 1,
    "one-unsettled",
    () => `${host} has ${records.filter((each) => !isSettled(each)).length} records under way`,
  );
}
