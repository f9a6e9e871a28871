import type { HostRollout, Instant, OutboundAgentEvent, ProbeName } from "@nixwave/effects";
import type { WhyView } from "@nixwave/protocol";

type Failure = NonNullable<WhyView["failure"]>;

interface Told {
  phase: string | null;
  stderrTail: string | null;
  rollbackStderrTail: string | null;
  sustainedSecs: number | null;
  readonly reasons: Map<ProbeName, string | null>;
  readonly firstFailedAt: Map<ProbeName, Instant>;
}

const NOTHING_TOLD = {
  phase: null,
  stderrTail: null,
  rollbackStderrTail: null,
  sustainedSecs: null,
} as const;

/** What the events of the host's last attempt say about its failure; an event that says nothing of it changes nothing. */
function hear(told: Told, event: OutboundAgentEvent): void {
  switch (event.kind) {
    case "DispatchAck":
      Object.assign(told, NOTHING_TOLD);
      told.reasons.clear();
      told.firstFailedAt.clear();
      return;
    case "ActivationFailed":
      Object.assign(told, { phase: event.phase, stderrTail: event.stderrTail });
      return;
    case "RollbackFailed":
      told.rollbackStderrTail = event.stderrTail;
      return;
    case "RollbackComplete":
      told.rollbackStderrTail = null;
      return;
    case "ProbeResult":
      if (event.status === "fail") told.reasons.set(event.probeName, event.failureReason);
      return;
    case "ProbeFailureFirst":
      told.firstFailedAt.set(event.probeName, event.firstFailedAt);
      return;
    case "Failed":
      told.sustainedSecs = event.sustainedDurationSecs;
      return;
    case "DispatchReject":
    case "ActivationStarted":
    case "ActivationCompleted":
    case "ActivationDeferred":
    case "ProbeTopologyDeclared":
    case "ProbeObservedFirst":
    case "RollbackStarted":
    case "Converged":
      return;
  }
}

/** What failed on the host, from its record and its events; null where its record is not one of a failure. */
export function failureOf(
  record: HostRollout | null,
  events: readonly OutboundAgentEvent[],
): Failure | null {
  if (record?.kind !== "Failed" && record?.kind !== "Reverted") return null;
  const told: Told = {
    ...NOTHING_TOLD,
    reasons: new Map(),
    firstFailedAt: new Map(),
  };
  for (const event of events) hear(told, event);
  const failing = events.findLast((event) => event.kind === "Failed");
  // A Reverted record has forgotten its cause; the events have not.
  const cause =
    record.kind === "Failed" ? record.cause : failing === undefined ? "activation" : "health";
  const names = record.kind === "Failed" ? record.failingProbes : (failing?.failingProbes ?? []);
  return {
    cause,
    failedAt: record.failedAt,
    phase: told.phase,
    probes: names.map((probeName) => ({
      probeName,
      reason: told.reasons.get(probeName) ?? null,
      firstFailedAt: told.firstFailedAt.get(probeName) ?? null,
    })),
    sustainedSecs: told.sustainedSecs,
    stderrTail: told.stderrTail,
    rollbackStderrTail: told.rollbackStderrTail,
  };
}
