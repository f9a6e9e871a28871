import {
  type Fleet,
  type HostRollout,
  type Instant,
  PROBE_TOPOLOGY,
  type ProbeName,
  type Rollout,
  RUNNING_CLOSURE,
  type Soaking,
} from "@nixwave/effects";
import { isFailing } from "./invariants.ts";

/**
 * I3, hazard 40: a host fails for its health only after every probe that it names has failed, or been silent, for as long as the
 * signed policy says. Reckoned from the mirror's evidence, which is the agent's own (I4).
 */
export function failedTooSoon(before: HostRollout | null, after: HostRollout): string | null {
  if (after.kind !== "Failed" || before?.kind !== "Soaking") return null;
  for (const probeName of after.failingProbes) {
    const from = mayFailFrom(before, probeName);
    if (from === null) return `Failed over ${probeName}, which it has not declared`;
    if (after.failedAt < from)
      return `Failed over ${probeName} ${(from - after.failedAt) / 1000} s too soon`;
  }
  return null;
}

/** The earliest instant at which this probe can count as failed for good; null: it never can. */
function mayFailFrom(
  { topology, probes, terms, activationCompletedAt }: Soaking,
  probeName: ProbeName,
): Instant | number | null {
  const { healthFailureThresholdSecs, probeReportSecs } = terms.policy;
  const threshold = healthFailureThresholdSecs * 1000;
  // Something else runs: that is seen at once.
  if (probeName === RUNNING_CLOSURE) return activationCompletedAt;
  if (topology === null)
    return probeName === PROBE_TOPOLOGY ? activationCompletedAt + threshold : null;
  const declared = topology.probes.find((probe) => probe.probeName === probeName);
  if (declared === undefined) return null;
  const evidence = probes[probeName];
  const silence =
    (evidence?.observedAt ?? topology.declaredAt) +
    Math.max(declared.intervalSecs, probeReportSecs) * 1000 +
    threshold;
  return evidence?.status === "fail"
    ? Math.min(silence, evidence.statusSince + threshold)
    : silence;
}

/** Hazard 43: what the signed policy says of a failure is what is owed for it. */
export function owesOther(
  fleet: Fleet,
  before: HostRollout | null,
  after: HostRollout,
): string | null {
  if (after.kind !== "Failed" || before === null || before.kind === "Failed") return null;
  const signed = fleet.release(after.rolloutId)?.policy.onHealthFailure;
  if (signed === undefined) return null;
  if (after.policyApplied !== signed)
    return `${after.host} failed by ${after.policyApplied}, and ${signed} was signed`;
  if (signed === "halt" && after.rollback !== "none")
    return `${after.host} owes a rollback that nobody signed`;
  // Before a switch was started nothing has changed that could be rolled back; whoever soaked has changed.
  const isOwed = before.kind === "Soaking" && signed === "rollback-and-halt";
  if (isOwed && after.rollbackTarget !== null && after.rollback === "none")
    return `${after.host} failed its health and owes no rollback`;
  return null;
}

/** Hazard 32: a rollout that was halted by failures has more hosts that fail than its policy bears, each counted once. */
export function haltedTooSoon(fleet: Fleet, rollout: Rollout): string | null {
  if (rollout.kind !== "Failed" || rollout.cause !== "failures") return null;
  const release = fleet.release(rollout.rolloutId);
  if (release === null) return null;
  const failing = release.hosts.filter(({ host }) =>
    isFailing(fleet.record(rollout.rolloutId, host), fleet.marks(rollout.rolloutId, host)),
  );
  const { maxFailures } = release.policy;
  return failing.length > maxFailures
    ? null
    : `${rollout.rolloutId} is halted with ${failing.length} failures of ${maxFailures}`;
}
