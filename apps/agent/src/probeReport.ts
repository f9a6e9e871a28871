import {
  addSecs,
  type Instant,
  type OutboundAgentEvent,
  type ProbeEvidence,
  type ProbeName,
  type ProbeStatus,
  type Soaking,
  type SubResult,
} from "@nixwave/effects";

/** One run of one probe, as its runner reports it. */
export interface ProbeRun {
  readonly probeName: ProbeName;
  readonly status: ProbeStatus;
  readonly failureReason: string | null;
  readonly subResults: readonly SubResult[] | null;
}

export interface ProbeReport {
  readonly events: readonly OutboundAgentEvent[];
  /** An event that would have been made, but for the outbox being at its cap. */
  readonly withheld: boolean;
}

const NOTHING: ProbeReport = { events: [], withheld: false };

/**
 * What a run of a probe is worth telling, so that 100,000 hosts do not drown the log in sameness: the first run, a change
 * of an enforce probe at once; a result equal to the last one, and a change of an observe probe, at most once in
 * probeReportSecs. What is no event changes no state, so agent and mirror stay equal. At the cap of the outbox observe
 * probes fall silent; enforce probes do not, because their silence would count as a failure and roll a sound host back.
 */
export function probeReport(
  state: Soaking,
  run: ProbeRun,
  outboxFull: boolean,
  now: Instant,
): ProbeReport {
  const declared = state.topology?.probes.find((probe) => probe.probeName === run.probeName);
  if (declared === undefined || declared.mode === "disabled") return NOTHING;
  const { probeName, status, failureReason, subResults } = run;
  const { mode } = declared;
  const before: ProbeEvidence | undefined = state.probes[probeName];
  const result: OutboundAgentEvent = {
    kind: "ProbeResult",
    probeName,
    mode,
    status,
    observedAt: now,
    failureReason,
    subResults,
  };
  const firstFailure: readonly OutboundAgentEvent[] =
    status === "fail" && before?.everFailed !== true
      ? [{ kind: "ProbeFailureFirst", probeName, mode, firstFailedAt: now }]
      : [];
  const silenced = outboxFull && mode === "observe";
  if (before === undefined) {
    if (silenced) return { events: [], withheld: true };
    const first: OutboundAgentEvent = {
      kind: "ProbeObservedFirst",
      probeName,
      mode,
      observedAt: now,
    };
    return { events: [first, result, ...firstFailure], withheld: false };
  }
  const changed = before.status !== status;
  if (changed && mode === "enforce") return { events: [result, ...firstFailure], withheld: false };
  // A first run within the millisecond of the activation proves nothing yet; waiting probeReportSecs for the next would cost a soak.
  const provesNothing = mode === "enforce" && before.observedAt <= state.activationCompletedAt;
  if (provesNothing && now > state.activationCompletedAt)
    return { events: [result, ...firstFailure], withheld: false };
  const dueAt = addSecs(before.observedAt, state.terms.policy.probeReportSecs);
  if (now < dueAt) return NOTHING;
  if (silenced) return { events: [], withheld: true };
  return { events: [result, ...firstFailure], withheld: false };
}
