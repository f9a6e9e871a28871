import type { EventKind, OutboundAgentEvent } from "../event.ts";
import type { Attempt } from "../ids.ts";
import type { ByKind } from "../interpret.ts";
import { addSecs, type Instant } from "../time.ts";
import { healthGaps, SYSTEM_STABLE } from "./health.ts";
import type { Refusal } from "./outcome.ts";
import type {
  Activating,
  Converged,
  Deferred,
  Failed,
  FailureCause,
  HostRollout,
  HostState,
  LastReject,
  Pending,
  ProbeEvidence,
  Reverted,
  Soaking,
} from "./state.ts";

/** The answer of one cell. The record's number and journal are set by `transition`, not here. */
export type Verdict =
  | { readonly kind: "moved"; readonly state: HostRollout }
  | { readonly kind: "stayed"; readonly state: HostRollout }
  | { readonly kind: "refused"; readonly code: Refusal };

/** `newStream`: the event begins a stream under another journal than the record's. */
export type Cell<S extends HostState, K extends EventKind> = (
  state: ByKind<HostRollout>[S],
  event: ByKind<OutboundAgentEvent>[K],
  newStream: boolean,
) => Verdict;

type Event<K extends EventKind> = ByKind<OutboundAgentEvent>[K];
type Acked = Exclude<HostRollout, Pending>;

const moved = (state: HostRollout): Verdict => ({ kind: "moved", state });
const stayed = (state: HostRollout): Verdict => ({ kind: "stayed", state });
const refused = (code: Refusal): Verdict => ({ kind: "refused", code });

/** Three starts of one attempt at most: a switch that takes its own host down must not do so for ever. */
export const STARTS_MAX = 3;
/** Minutes after which a failed rollback is tried again, by tries so far; afterwards every hour. */
const ROLLBACK_RETRY_MINUTES: readonly number[] = [1, 5, 30];
const ROLLBACK_RETRY_MINUTES_LAST = 60;

/** The written "no" of the table. */
export const illegal = (): Verdict => refused("illegal-in-state");

/**
 * Which attempts may be answered: a later one; under another journal, which has forgotten, or while nothing is acknowledged, the
 * record's own too. A host takes the first attempt that it hears of, and a liar may have named one that nobody came to, or one that
 * was over: if only the very next one counted, the two sides would never speak of the same attempt again.
 */
function mayAnswer(state: HostRollout, attempt: Attempt, newStream: boolean): boolean {
  const isAnew = newStream || state.kind === "Pending";
  return isAnew ? attempt >= state.attempt : attempt > state.attempt;
}

export function acknowledge(
  state: HostRollout,
  event: Event<"DispatchAck">,
  newStream: boolean,
): Verdict {
  if (!mayAnswer(state, event.attempt, newStream)) return refused("wrong-attempt");
  if (state.terms === null) return refused("no-terms");
  if (event.rollbackTarget === state.targetClosure) return refused("rollback-target-is-target");
  const { attempt, dispatchedAt, soakDueAt, rollbackTarget, ackedAt } = event;
  const { terms } = state;
  return moved({
    kind: "Activating",
    ...answered(state, { attempt, dispatchedAt, soakDueAt, lastReject: null }),
    terms,
    rollbackTarget,
    ackedAt,
    startedAt: null,
    starts: 0,
  });
}

/** A refusal is no failure. A journal that has forgotten begins again, as Pending. */
export function reject(
  state: HostRollout,
  event: Event<"DispatchReject">,
  newStream: boolean,
): Verdict {
  if (!mayAnswer(state, event.attempt, newStream)) return refused("wrong-attempt");
  const { attempt, dispatchedAt, soakDueAt, code, reason, retryable, rejectedAt } = event;
  const inARow = !newStream && state.lastReject?.attempt === attempt ? state.lastReject.count : 0;
  const count = inARow + 1;
  const lastReject: LastReject = { attempt, code, reason, retryable, rejectedAt, count };
  if (!newStream) {
    // A dispatch that was withdrawn and queued again has other instants, and the agent's record is of the one that it answers.
    const answers = state.kind === "Pending" ? { attempt, dispatchedAt, soakDueAt } : {};
    return stayed({ ...state, lastReject, ...answers });
  }
  const pending: Pending = {
    kind: "Pending",
    ...answered(state, { attempt, dispatchedAt, soakDueAt, lastReject }),
    terms: state.terms,
  };
  return state.kind === "Pending" ? stayed(pending) : moved(pending);
}

export function activationStarted(state: Activating, event: Event<"ActivationStarted">): Verdict {
  if (state.starts >= STARTS_MAX) return refused("too-many-starts");
  return stayed({ ...state, startedAt: event.startedAt, starts: state.starts + 1 });
}

export function activationCompleted(
  state: Activating | Deferred,
  event: Event<"ActivationCompleted">,
): Verdict {
  const { observedCurrentClosure: currentClosure, completedAt: activationCompletedAt } = event;
  if (currentClosure !== state.targetClosure) return refused("wrong-closure");
  const soaking: Soaking = {
    kind: "Soaking",
    ...lasting(state),
    activationCompletedAt,
    currentClosure,
    topology: null,
    probes: {},
  };
  return moved(soaking);
}

export function activationDeferred(state: Activating, event: Event<"ActivationDeferred">): Verdict {
  const { component, bootId, deferredAt } = event;
  const deferred: Deferred = {
    kind: "Deferred",
    ...lasting(state),
    ackedAt: state.ackedAt,
    component,
    bootId,
    deferredAt,
  };
  return moved(deferred);
}

export function activationFailed(
  state: Activating | Deferred,
  event: Event<"ActivationFailed">,
): Verdict {
  return moved(
    failed(state, {
      cause: "activation",
      failedAt: event.failedAt,
      failingProbes: [],
      untouched: event.untouched,
    }),
  );
}

export function healthFailed(state: Soaking, event: Event<"Failed">): Verdict {
  if (event.policyApplied !== state.terms.policy.onHealthFailure) return refused("wrong-policy");
  return moved(
    failed(state, {
      cause: "health",
      failedAt: event.failedAt,
      failingProbes: event.failingProbes,
      untouched: false,
    }),
  );
}

export function topologyDeclared(state: Soaking, event: Event<"ProbeTopologyDeclared">): Verdict {
  const { probes, bootId, declaredAt } = event;
  const names = new Set(probes.map((probe) => probe.probeName));
  if (names.size !== probes.length) return refused("duplicate-probe");
  if (!probes.some((probe) => probe.probeName === SYSTEM_STABLE && probe.mode === "enforce"))
    return refused("no-system-stable");
  // Evidence of an earlier declaration, or of an earlier boot, is none (hazard 46).
  return stayed({ ...state, topology: { probes, bootId, declaredAt }, probes: {} });
}

export function probeResult(state: Soaking, event: Event<"ProbeResult">): Verdict {
  const { probeName, mode, status, observedAt, failureReason: reason, subResults } = event;
  const declared = state.topology?.probes.find((probe) => probe.probeName === probeName);
  if (declared === undefined) return refused("undeclared-probe");
  if (declared.mode !== mode) return refused("wrong-mode");
  const before: ProbeEvidence | undefined = state.probes[probeName];
  const statusSince = before?.status === status ? before.statusSince : observedAt;
  const everFailed = status === "fail" || (before?.everFailed ?? false);
  const evidence: ProbeEvidence = {
    mode,
    status,
    observedAt,
    statusSince,
    everFailed,
    reason,
    subResults,
  };
  return stayed({ ...state, probes: { ...state.probes, [probeName]: evidence } });
}

/** For the timeline only: it changes no decision. */
export const noted = (state: Soaking): Verdict => stayed(state);

export function converged(state: Soaking, event: Event<"Converged">): Verdict {
  const { convergedAt, currentClosure } = event;
  if (currentClosure !== state.targetClosure) return refused("wrong-closure");
  if (healthGaps(state, convergedAt).length > 0) return refused("health-not-shown");
  const { activationCompletedAt } = state;
  const done: Converged = {
    kind: "Converged",
    ...lasting(state),
    activationCompletedAt,
    convergedAt,
    currentClosure,
  };
  return moved(done);
}

export function rollbackStarted(state: Failed, event: Event<"RollbackStarted">): Verdict {
  if (state.rollback === "none") return illegal();
  return stayed({
    ...state,
    rollback: "owed",
    rollbackStartedAt: event.startedAt,
    rollbackTries: state.rollbackTries + 1,
    rollbackRetryAt: null,
  });
}

export function rollbackComplete(state: Failed, event: Event<"RollbackComplete">): Verdict {
  if (state.rollback === "none") return illegal();
  const { revertedToClosure: revertedTo, completedAt: revertedAt } = event;
  if (revertedTo !== state.rollbackTarget) return refused("wrong-closure");
  const reverted: Reverted = {
    kind: "Reverted",
    ...lasting(state),
    failedAt: state.failedAt,
    revertedAt,
    revertedTo,
    currentClosure: revertedTo,
  };
  return moved(reverted);
}

export function rollbackFailed(state: Failed, event: Event<"RollbackFailed">): Verdict {
  if (state.rollback === "none") return illegal();
  return stayed({
    ...state,
    rollback: "failed",
    rollbackRetryAt: retryAt(event.failedAt, state.rollbackTries),
  });
}

function retryAt(failedAt: Instant, tries: number): Instant {
  const minutes = ROLLBACK_RETRY_MINUTES[Math.max(tries - 1, 0)] ?? ROLLBACK_RETRY_MINUTES_LAST;
  return addSecs(failedAt, minutes * 60);
}

interface Failure {
  readonly cause: FailureCause;
  readonly failedAt: Instant;
  readonly failingProbes: Failed["failingProbes"];
  readonly untouched: boolean;
}

function failed(state: Activating | Deferred | Soaking, failure: Failure): Failed {
  const { cause, failedAt, failingProbes, untouched } = failure;
  const policyApplied = state.terms.policy.onHealthFailure;
  const owed = policyApplied === "rollback-and-halt" && state.rollbackTarget !== null && !untouched;
  const debt = { rollbackStartedAt: null, rollbackTries: 0, rollbackRetryAt: null };
  return {
    kind: "Failed",
    ...lasting(state),
    failedAt,
    cause,
    failingProbes,
    policyApplied,
    rollback: owed ? "owed" : "none",
    ...debt,
  };
}

type Answer = Pick<Pending, "attempt" | "dispatchedAt" | "soakDueAt" | "lastReject">;

/** What every state has beside its terms: the record's own, with what it has of its dispatch: of this answer, or as it was. */
function answered(state: HostRollout, answer: Answer): Omit<Pending, "kind" | "terms"> {
  const { rolloutId, host, channel, targetClosure, journalId, lastSeq, supersededBy } = state;
  const { attempt, dispatchedAt, soakDueAt, lastReject } = answer;
  return {
    rolloutId,
    host,
    channel,
    targetClosure,
    attempt,
    dispatchedAt,
    soakDueAt,
    journalId,
    lastSeq,
    lastReject,
    supersededBy,
  };
}

/** The fields that every state past Pending keeps. */
const lasting = (state: Acked): Omit<Activating, "kind" | "ackedAt" | "startedAt" | "starts"> => ({
  ...answered(state, state),
  terms: state.terms,
  rollbackTarget: state.rollbackTarget,
});
