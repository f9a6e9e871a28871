import { type HostRollout, isSettled } from "../host/state.ts";
import {
  type Attempt,
  type HostName,
  type JournalId,
  nextAttempt,
  type RolloutId,
} from "../ids.ts";
import type { FailureCount, HostForgot, HostStateChanged } from "../rollout/input.ts";
import { noMarks } from "../rollout/state.ts";
import type { Instant } from "../time.ts";
import type { FleetState } from "./fleet.ts";
import { hasReverted, isFailing } from "./member.ts";

/** For a change of a record's state, made before or after the record was applied to the fleet: the count is the same. */
export function hostStateChanged(
  fleet: FleetState,
  before: HostRollout,
  after: HostRollout,
  now: Instant,
): HostStateChanged {
  const { rolloutId, host, attempt } = after;
  return {
    kind: "HostStateChanged",
    rolloutId,
    host,
    attempt,
    from: before.kind,
    to: after.kind,
    ...countWith(fleet, before, after),
    at: now,
  };
}

/** The rollout's failures with this host as its record will be. */
function countWith(fleet: FleetState, before: HostRollout, after: HostRollout): FailureCount {
  const { rolloutId, host } = after;
  const counted = fleet.failures(rolloutId);
  const member = fleet.index.member(rolloutId, host);
  const marks = member?.marks ?? noMarks(rolloutId, host);
  // A new failure is not covered by an old forgiveness. The fleet may hold the record already: only `before` tells what is new.
  const isNew = after.kind === "Failed" && before.kind !== "Failed";
  const will = { record: after, marks: isNew ? { ...marks, forgivenAt: null } : marks };
  return {
    failures: counted.failures + Number(isFailing(will)) - Number(member?.counted.failing ?? false),
    reverted:
      counted.reverted + Number(hasReverted(will)) - Number(member?.counted.reverted ?? false),
    maxFailures: counted.maxFailures,
  };
}

/**
 * For a journal that is new for this host: one for each record that its agent has forgotten. A Pending one is not forgotten:
 * nothing of it was acknowledged, and its dispatch is handed out again to the new journal.
 */
export function hostForgot(
  fleet: FleetState,
  host: HostName,
  journalId: JournalId,
  now: Instant,
): readonly HostForgot[] {
  return fleet
    .recordsOf(host)
    .filter((record) => record.journalId !== journalId && isForgotten(fleet, record))
    .map(({ rolloutId, attempt }) => ({
      kind: "HostForgot",
      rolloutId,
      host,
      journalId,
      attempt: attemptAfter(fleet, { rolloutId, host }, attempt),
      at: now,
    }));
}

function isForgotten(fleet: FleetState, record: HostRollout): boolean {
  const { forgottenAt } = fleet.marks(record.rolloutId, record.host);
  return forgottenAt === null && record.kind !== "Pending" && !isSettled(record);
}

/** The next attempt, or the one that is owed already: an attempt is only ever the record's plus one. */
export function attemptAfter(
  fleet: FleetState,
  { rolloutId, host }: { readonly rolloutId: RolloutId; readonly host: HostName },
  attempt: Attempt,
): Attempt {
  const { attemptDue } = fleet.marks(rolloutId, host);
  return attemptDue !== null && attemptDue > attempt ? attemptDue : nextAttempt(attempt);
}
