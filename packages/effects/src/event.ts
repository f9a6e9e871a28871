import type {
  Attempt,
  BootId,
  ClosureHash,
  ControlId,
  HostName,
  JournalId,
  ProbeName,
  RolloutId,
  Seq,
  Sha256,
} from "./ids.ts";
import type { OnHealthFailure } from "./release.ts";
import type { Instant } from "./time.ts";

/** `probeName` of the built-in enforce probe: same boot since the declaration, running closure = target. */
export type ProbeMode = "enforce" | "observe" | "disabled";
export type ProbeStatus = "pass" | "fail";
export type ActivationPhase = "realise" | "profile" | "check" | "switch" | "verify" | "timeout";
/** `none`: the target already ran, nothing was fired. */
export type SwitchMethod = "switch" | "boot" | "none";

/** One control of a probe that reports several (compliance evidence). */
export interface SubResult {
  readonly controlId: ControlId;
  readonly status: ProbeStatus;
  readonly framework: string;
  readonly article: string | null;
  readonly effectiveMode: ProbeMode;
  readonly overrideReason: string | null;
}

export interface DeclaredProbe {
  readonly probeName: ProbeName;
  readonly kind: string;
  readonly mode: ProbeMode;
  readonly intervalSecs: number;
}

/** Names the host's record before this one, so that the CP can ask for what it misses of it. */
export interface PreviousStream {
  readonly rolloutId: RolloutId;
  readonly journalId: JournalId;
  readonly lastSeq: Seq | 0;
}

export interface DispatchAck {
  readonly kind: "DispatchAck";
  readonly attempt: Attempt;
  readonly dispatchedAt: Instant;
  readonly soakDueAt: Instant;
  readonly previous: PreviousStream | null;
  readonly currentClosureAtDispatch: ClosureHash | null;
  readonly rollbackTarget: ClosureHash | null;
  readonly ackedAt: Instant;
}

/**
 * Why an agent refuses a dispatch, for machines. Up to `wrong-channel` it is an attack, or a fault that looks the same; then what
 * a release may be otherwise, and last what only a dispatch can be: of no signed release, or saying other than its release.
 */
export const REJECT_CODES = [
  "rollback",
  "freeze-expired",
  "mix-and-match",
  "threshold-not-met",
  "wrong-length-or-hash",
  "endless-data",
  "unknown-role",
  "wrong-channel",
  "missing",
  "unreadable",
  "unreachable",
  "malformed",
  "unknown-critical",
  "inconsistent",
  "not-listed",
  "no-root",
  "future-dated",
  "unsigned",
  "not-as-signed",
  "held",
] as const;
export type RejectCode = (typeof REJECT_CODES)[number];

export interface DispatchReject {
  readonly kind: "DispatchReject";
  readonly attempt: Attempt;
  readonly dispatchedAt: Instant;
  readonly soakDueAt: Instant;
  /** Null from an agent that does not say it yet. */
  readonly code: RejectCode | null;
  readonly reason: string;
  readonly retryable: boolean;
  readonly rejectedAt: Instant;
}

export interface ActivationStarted {
  readonly kind: "ActivationStarted";
  readonly startedAt: Instant;
  readonly switchMethod: SwitchMethod;
}

export interface ActivationCompleted {
  readonly kind: "ActivationCompleted";
  readonly observedCurrentClosure: ClosureHash;
  readonly exitCode: number | null;
  readonly completedAt: Instant;
}

export interface ActivationDeferred {
  readonly kind: "ActivationDeferred";
  readonly component: string;
  readonly bootId: BootId;
  readonly deferredAt: Instant;
}

export interface ActivationFailed {
  readonly kind: "ActivationFailed";
  readonly phase: ActivationPhase;
  /** Observed, not inferred: running, profile and boot default all are the rollback target. */
  readonly untouched: boolean;
  readonly exitCode: number | null;
  readonly stderrTail: string;
  readonly failedAt: Instant;
}

export interface ProbeTopologyDeclared {
  readonly kind: "ProbeTopologyDeclared";
  readonly probes: readonly DeclaredProbe[];
  readonly bootId: BootId;
  readonly declaredAt: Instant;
}

export interface ProbeObservedFirst {
  readonly kind: "ProbeObservedFirst";
  readonly probeName: ProbeName;
  readonly mode: ProbeMode;
  readonly observedAt: Instant;
}

export interface ProbeResult {
  readonly kind: "ProbeResult";
  readonly probeName: ProbeName;
  readonly mode: ProbeMode;
  readonly status: ProbeStatus;
  readonly observedAt: Instant;
  readonly failureReason: string | null;
  readonly subResults: readonly SubResult[] | null;
}

export interface ProbeFailureFirst {
  readonly kind: "ProbeFailureFirst";
  readonly probeName: ProbeName;
  readonly mode: ProbeMode;
  readonly firstFailedAt: Instant;
}

export interface HealthFailed {
  readonly kind: "Failed";
  readonly failedAt: Instant;
  readonly sustainedDurationSecs: number;
  readonly failingProbes: readonly ProbeName[];
  readonly policyApplied: OnHealthFailure;
}

export interface RollbackStarted {
  readonly kind: "RollbackStarted";
  readonly startedAt: Instant;
}

export interface RollbackComplete {
  readonly kind: "RollbackComplete";
  readonly revertedToClosure: ClosureHash;
  readonly exitCode: number | null;
  readonly completedAt: Instant;
}

export interface RollbackFailed {
  readonly kind: "RollbackFailed";
  readonly exitCode: number | null;
  readonly stderrTail: string;
  readonly failedAt: Instant;
}

export interface HostConverged {
  readonly kind: "Converged";
  readonly convergedAt: Instant;
  readonly currentClosure: ClosureHash;
}

/** What a host reports about itself: the fifteen events, past tense, plain JSON. The agent is their only author. */
export type OutboundAgentEvent =
  | DispatchAck
  | DispatchReject
  | ActivationStarted
  | ActivationCompleted
  | ActivationDeferred
  | ActivationFailed
  | ProbeTopologyDeclared
  | ProbeObservedFirst
  | ProbeResult
  | ProbeFailureFirst
  | HealthFailed
  | RollbackStarted
  | RollbackComplete
  | RollbackFailed
  | HostConverged;

export type EventKind = OutboundAgentEvent["kind"];

/**
 * One event in its stream (host, rollout, journal). On the wire `journalId` is a header, and in the log it stands beside
 * the received line. `prev` is the SHA-256 of the stream's previous line, null at seq 1; it is written by the journal
 * and checked by the CP's writer, never read by `transition`.
 */
export interface Envelope<E extends OutboundAgentEvent = OutboundAgentEvent> {
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly journalId: JournalId;
  readonly seq: Seq;
  readonly prev: Sha256 | null;
  readonly event: E;
}
