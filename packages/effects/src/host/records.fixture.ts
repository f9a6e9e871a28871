import type { Envelope, EventKind, OutboundAgentEvent } from "../event.ts";
import {
  type BootId,
  type ClosureHash,
  FIRST_ATTEMPT,
  type HostName,
  isSeq,
  type JournalId,
  nextAttempt,
  nextSeq,
  type ProbeName,
  parseBootId,
  parseChannel,
  parseChannelRef,
  parseClosureHash,
  parseHostName,
  parseJournalId,
  parseProbeName,
  rolloutId,
  type Seq,
} from "../ids.ts";
import type { ByKind } from "../interpret.ts";
import { invariant } from "../invariant.ts";
import type { Policy, Terms } from "../release.ts";
import type { Result } from "../result.ts";
import { addSecs, type Instant, instant } from "../time.ts";
import { SYSTEM_STABLE } from "./health.ts";
import { type HostRollout, type HostState, openHostRollout } from "./state.ts";
import { transition } from "./transition.ts";

/** One record per state, each reached by the real table, and one fitting event per kind: what the host's tests start from. */
function must<T, E>(parsed: Result<T, E>): T {
  invariant(parsed.ok, "a fixture's id is well formed");
  return parsed.value;
}

export const START: Instant = instant(1_767_614_400_000);
const JOURNAL_A: JournalId = must(parseJournalId("a".repeat(32)));
export const JOURNAL_B: JournalId = must(parseJournalId("b".repeat(32)));
export const OLD: ClosureHash = must(parseClosureHash(`${"0".repeat(32)}-old`));
export const NEW: ClosureHash = must(parseClosureHash(`${"1".repeat(32)}-new`));
export const BOOT_1: BootId = must(parseBootId("boot-1"));
export const HTTP: ProbeName = must(parseProbeName("http"));
const HOST: HostName = must(parseHostName("web-1"));
const CHANNEL = must(parseChannel("stable"));

export const POLICY: Policy = {
  onHealthFailure: "rollback-and-halt",
  healthFailureThresholdSecs: 60,
  activationTimeoutSecs: 900,
  realiseTimeoutSecs: 21_600,
  rollbackTimeoutSecs: 900,
  probeReportSecs: 60,
  lostSecs: 900,
  offlineGraceSecs: 3600,
  maxFailures: 0,
  deferredCounts: "waiting",
};
const TERMS: Terms = { policy: POLICY, wave: 1, soakSecs: 600, closureDigest: null };

export function seqOf(value: number): Seq {
  invariant(isSeq(value), `${value} is a seq`);
  return value;
}

/** The next envelope of the record's own stream. */
export function envelope(record: HostRollout, event: OutboundAgentEvent): Envelope {
  return {
    host: record.host,
    rolloutId: record.rolloutId,
    journalId: record.journalId,
    seq: nextSeq(record.lastSeq),
    prev: null,
    event,
  };
}

/** One event of each kind that fits the record where the table allows it at all. */
export function eventsFor(record: HostRollout): ByKind<OutboundAgentEvent> {
  const attempt = record.kind === "Pending" ? record.attempt : nextAttempt(record.attempt);
  const soaked = addSecs(START, 1200);
  return {
    DispatchAck: {
      kind: "DispatchAck",
      attempt,
      dispatchedAt: START,
      soakDueAt: soaked,
      previous: null,
      currentClosureAtDispatch: OLD,
      rollbackTarget: OLD,
      ackedAt: START,
    },
    DispatchReject: {
      kind: "DispatchReject",
      attempt,
      dispatchedAt: START,
      soakDueAt: soaked,
      code: "held",
      reason: "held",
      retryable: true,
      rejectedAt: START,
    },
    ActivationStarted: { kind: "ActivationStarted", startedAt: START, switchMethod: "switch" },
    ActivationCompleted: {
      kind: "ActivationCompleted",
      observedCurrentClosure: record.targetClosure,
      exitCode: 0,
      completedAt: START,
    },
    ActivationDeferred: {
      kind: "ActivationDeferred",
      component: "kernel",
      bootId: BOOT_1,
      deferredAt: START,
    },
    ActivationFailed: {
      kind: "ActivationFailed",
      phase: "switch",
      untouched: false,
      exitCode: 1,
      stderrTail: "",
      failedAt: START,
    },
    ProbeTopologyDeclared: {
      kind: "ProbeTopologyDeclared",
      probes: [
        { probeName: SYSTEM_STABLE, kind: "system-stable", mode: "enforce", intervalSecs: 10 },
        { probeName: HTTP, kind: "http", mode: "enforce", intervalSecs: 10 },
      ],
      bootId: BOOT_1,
      declaredAt: addSecs(START, 1),
    },
    ProbeObservedFirst: {
      kind: "ProbeObservedFirst",
      probeName: HTTP,
      mode: "enforce",
      observedAt: addSecs(START, 2),
    },
    ProbeResult: {
      kind: "ProbeResult",
      probeName: HTTP,
      mode: "enforce",
      status: "pass",
      observedAt: addSecs(START, 2),
      failureReason: null,
      subResults: null,
    },
    ProbeFailureFirst: {
      kind: "ProbeFailureFirst",
      probeName: HTTP,
      mode: "enforce",
      firstFailedAt: addSecs(START, 2),
    },
    Failed: {
      kind: "Failed",
      failedAt: addSecs(START, 90),
      sustainedDurationSecs: 60,
      failingProbes: [HTTP],
      policyApplied: "rollback-and-halt",
    },
    RollbackStarted: { kind: "RollbackStarted", startedAt: addSecs(START, 91) },
    RollbackComplete: {
      kind: "RollbackComplete",
      revertedToClosure: OLD,
      exitCode: 0,
      completedAt: addSecs(START, 99),
    },
    RollbackFailed: {
      kind: "RollbackFailed",
      exitCode: 1,
      stderrTail: "",
      failedAt: addSecs(START, 99),
    },
    Converged: { kind: "Converged", convergedAt: soaked, currentClosure: record.targetClosure },
  };
}

const pending = openHostRollout({
  rolloutId: rolloutId(CHANNEL, must(parseChannelRef("a".repeat(40)))),
  host: HOST,
  channel: CHANNEL,
  targetClosure: NEW,
  attempt: FIRST_ATTEMPT,
  dispatchedAt: START,
  soakDueAt: addSecs(START, 600),
  journalId: JOURNAL_A,
  terms: TERMS,
});

/** Steps the events through the real table and insists that each was taken. */
export function after(record: HostRollout, ...events: readonly OutboundAgentEvent[]): HostRollout {
  return events.reduce<HostRollout>((state, event) => {
    const step = transition(state, envelope(state, event));
    invariant(
      step.outcome.kind === "moved" || step.outcome.kind === "stayed",
      `${event.kind} is legal in ${state.kind}`,
    );
    return step.state;
  }, record);
}

function only<S extends HostState>(
  kind: S,
  record: HostRollout,
): ByKind<HostRollout>[S] & { readonly kind: S } {
  const is = (state: HostRollout): state is ByKind<HostRollout>[S] & { readonly kind: S } =>
    state.kind === kind;
  invariant(is(record), `the fixture is ${kind}, not ${record.kind}`);
  return record;
}

const e = eventsFor(pending);
const stablePass: OutboundAgentEvent = { ...e.ProbeResult, probeName: SYSTEM_STABLE };
const activating = after(pending, e.DispatchAck, e.ActivationStarted);
const soaking = after(
  activating,
  e.ActivationCompleted,
  e.ProbeTopologyDeclared,
  e.ProbeResult,
  stablePass,
);
const failed = after(soaking, e.Failed, e.RollbackStarted);

/** Soaking and Converged have shown their health; Failed owes a rollback that was started. */
export const RECORDS: ByKind<HostRollout> = {
  Pending: pending,
  Activating: only("Activating", activating),
  Deferred: only("Deferred", after(activating, e.ActivationDeferred)),
  Soaking: only("Soaking", soaking),
  Converged: only("Converged", after(soaking, e.Converged)),
  Failed: only("Failed", failed),
  Reverted: only("Reverted", after(failed, e.RollbackComplete)),
};

export const EVENTS: readonly EventKind[] = [
  "DispatchAck",
  "DispatchReject",
  "ActivationStarted",
  "ActivationCompleted",
  "ActivationDeferred",
  "ActivationFailed",
  "ProbeTopologyDeclared",
  "ProbeObservedFirst",
  "ProbeResult",
  "ProbeFailureFirst",
  "Failed",
  "RollbackStarted",
  "RollbackComplete",
  "RollbackFailed",
  "Converged",
];
