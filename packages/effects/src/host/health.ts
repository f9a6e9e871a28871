import type { DeclaredProbe } from "../event.ts";
import { isProbeName, type ProbeName } from "../ids.ts";
import { invariant } from "../invariant.ts";
import { addSecs, earliest, type Instant, later } from "../time.ts";
import type { ProbeEvidence, Soaking } from "./state.ts";

function builtIn(name: string): ProbeName {
  invariant(isProbeName(name), `"${name}" is a probe name`);
  return name;
}

/** Built in, always enforce: same boot since the declaration, running closure = target. No closure converges on silence. */
export const SYSTEM_STABLE: ProbeName = builtIn("system-stable");
/** Stands for a probe file that is missing, unreadable or unknown: that is a failure, never health (hazard 45). */
export const PROBE_TOPOLOGY: ProbeName = builtIn("probe-topology");
/** Built in: the host has reached somebody since the activation; enforced only where somebody answered before it. */
export const REACHABILITY: ProbeName = builtIn("reachability");
/** Stands for a running closure that is no longer the target. */
export const RUNNING_CLOSURE: ProbeName = builtIn("running-closure");
/** Stands for a rollback that a person asked for at the console. */
export const OPERATOR: ProbeName = builtIn("operator");

/** The one predicate of which probes count (hazard 41): observe and disabled ones never do. */
export const gates = (probe: DeclaredProbe): boolean => probe.mode === "enforce";

/** A reason why the record may not read Converged yet, and when time alone could remove it (null: only evidence can). */
export interface HealthGap {
  readonly what: ProbeName | "soak" | "topology";
  readonly reason: string;
  readonly until: Instant | null;
}

export const soakEnd = (state: Soaking): Instant =>
  addSecs(state.activationCompletedAt, state.terms.soakSecs);

/**
 * Everything that still keeps a soaking host from Converged, except that the running closure must be read again from the
 * system. Having no data is never health (hazard 37). `due`, `observe`, `transition` and `explainHost` all ask here.
 */
export function healthGaps(state: Soaking, now: Instant): readonly HealthGap[] {
  const gaps: HealthGap[] = [];
  const end = soakEnd(state);
  if (now < end) gaps.push({ what: "soak", reason: "the soak is not over", until: end });
  if (state.topology === null)
    gaps.push({ what: "topology", reason: "no probes were declared yet", until: null });
  for (const probe of state.topology?.probes ?? []) {
    const gap = gates(probe) ? probeGap(state, probe.probeName, now) : null;
    if (gap !== null) gaps.push(gap);
  }
  return gaps;
}

function probeGap(state: Soaking, what: ProbeName, now: Instant): HealthGap | null {
  const evidence = state.probes[what];
  if (evidence === undefined) return { what, reason: "has not reported yet", until: null };
  if (evidence.observedAt <= state.activationCompletedAt)
    return { what, reason: "has not reported since the activation", until: null };
  if (evidence.status === "fail") return { what, reason: evidence.reason ?? "fails", until: null };
  if (!evidence.everFailed) return null;
  // It has failed before: a pass must last as long as a failure would have to.
  const proven = addSecs(evidence.statusSince, state.terms.policy.healthFailureThresholdSecs);
  return now >= proven
    ? null
    : { what, reason: "passes again, but not for long enough", until: proven };
}

/** An enforce probe that counts as failing at `since + sustainedSecs`, and why. */
interface FailureDeadline {
  readonly probeName: ProbeName;
  readonly since: Instant;
  readonly at: Instant;
}

/**
 * When each enforce probe would count as having failed for good if nothing more is heard: failing for
 * healthFailureThresholdSecs, or silent for max(interval, probeReportSecs) + threshold. A topology that is not declared
 * within the threshold counts the same way. `agentStartedAt`: evidence from before this start of the agent waits for the
 * first declaration of this start, one threshold at most, since nobody was there to observe.
 */
export function failureDeadlines(
  state: Soaking,
  agentStartedAt: Instant,
): readonly FailureDeadline[] {
  const { healthFailureThresholdSecs, probeReportSecs } = state.terms.policy;
  const awake = later(state.activationCompletedAt, agentStartedAt);
  const topology = state.topology;
  if (topology === null) {
    return [
      { probeName: PROBE_TOPOLOGY, since: awake, at: addSecs(awake, healthFailureThresholdSecs) },
    ];
  }
  const declaredThisStart = topology.declaredAt >= agentStartedAt;
  const grace = declaredThisStart
    ? topology.declaredAt
    : addSecs(agentStartedAt, healthFailureThresholdSecs);
  return topology.probes.filter(gates).map(({ probeName, intervalSecs }) => {
    const evidence: ProbeEvidence | undefined = state.probes[probeName];
    const silentFrom = evidence?.observedAt ?? topology.declaredAt;
    const silentUntil = addSecs(
      silentFrom,
      Math.max(intervalSecs, probeReportSecs) + healthFailureThresholdSecs,
    );
    const silence = { probeName, since: silentFrom, at: later(silentUntil, grace) };
    if (evidence?.status !== "fail") return silence;
    const failing = {
      probeName,
      since: evidence.statusSince,
      at: later(addSecs(evidence.statusSince, healthFailureThresholdSecs), grace),
    };
    return failing.at <= silence.at ? failing : silence;
  });
}

/** The instant at which every gap would be gone if nothing more is heard, or null if evidence is missing. */
export function healthyAt(state: Soaking): Instant | null {
  const gaps = healthGaps(state, state.activationCompletedAt);
  const ends = gaps.map((gap) => gap.until);
  if (ends.includes(null)) return null;
  return ends.reduce<Instant>((last, at) => (at === null ? last : later(last, at)), soakEnd(state));
}

export const firstDeadline = (deadlines: readonly FailureDeadline[]): Instant | null =>
  earliest(deadlines.map(({ at }) => at));
