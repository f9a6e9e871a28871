import type { DeclaredProbe, ProbeMode, ProbeStatus, RejectCode, SubResult } from "../event.ts";
import type {
  Attempt,
  BootId,
  Channel,
  ClosureHash,
  HostName,
  JournalId,
  ProbeName,
  RolloutId,
  Seq,
} from "../ids.ts";
import type { OnHealthFailure, Terms } from "../release.ts";
import type { Instant } from "../time.ts";

/**
 * One record per (rollout, host): the agent's own in its journal, its mirror in the CP. Equal on both sides for the same
 * envelopes (I4). Each variant carries only what its state knows.
 */
export type HostRollout = Pending | Activating | Deferred | Soaking | Converged | Failed | Reverted;
export type HostState = HostRollout["kind"];

/** The last refusal, and how many times in a row this attempt was refused. */
export interface LastReject {
  readonly attempt: Attempt;
  readonly code: RejectCode | null;
  readonly reason: string;
  readonly retryable: boolean;
  readonly rejectedAt: Instant;
  readonly count: number;
}

interface RecordBase {
  readonly rolloutId: RolloutId;
  readonly host: HostName;
  readonly channel: Channel;
  readonly targetClosure: ClosureHash;
  readonly attempt: Attempt;
  readonly dispatchedAt: Instant;
  /** An estimate for people; no decision reads it. */
  readonly soakDueAt: Instant;
  readonly journalId: JournalId;
  readonly lastSeq: Seq | 0;
  readonly lastReject: LastReject | null;
  readonly supersededBy: RolloutId | null;
}

/** Past Pending the release has been verified on both sides. */
interface AckedBase extends RecordBase {
  readonly terms: Terms;
  /** The closure that ran at the acknowledgement if it is known good, else the known-good one; null where it equals the target. */
  readonly rollbackTarget: ClosureHash | null;
}

/** Dispatched, not acknowledged. `terms` are null on an agent that has not verified the release yet. */
export interface Pending extends RecordBase {
  readonly kind: "Pending";
  readonly terms: Terms | null;
}

/** Acknowledged; the switch is being made. */
export interface Activating extends AckedBase {
  readonly kind: "Activating";
  readonly ackedAt: Instant;
  readonly startedAt: Instant | null;
  readonly starts: number;
}

/** Staged for the next boot: a component cannot be swapped live. */
export interface Deferred extends AckedBase {
  readonly kind: "Deferred";
  readonly ackedAt: Instant;
  readonly component: string;
  readonly bootId: BootId;
  readonly deferredAt: Instant;
}

export interface ProbeTopology {
  readonly probes: readonly DeclaredProbe[];
  readonly bootId: BootId;
  readonly declaredAt: Instant;
}

/** What a probe last reported. `everFailed` counts from the declaration. */
export interface ProbeEvidence {
  readonly mode: ProbeMode;
  readonly status: ProbeStatus;
  readonly observedAt: Instant;
  readonly statusSince: Instant;
  readonly everFailed: boolean;
  readonly reason: string | null;
  readonly subResults: readonly SubResult[] | null;
}

/** The target runs; its health is being shown. */
export interface Soaking extends AckedBase {
  readonly kind: "Soaking";
  readonly activationCompletedAt: Instant;
  readonly currentClosure: ClosureHash;
  readonly topology: ProbeTopology | null;
  readonly probes: { readonly [name: ProbeName]: ProbeEvidence };
}

/** Soaked and healthy. */
export interface Converged extends AckedBase {
  readonly kind: "Converged";
  readonly activationCompletedAt: Instant;
  readonly convergedAt: Instant;
  readonly currentClosure: ClosureHash;
}

export type FailureCause = "activation" | "health";
/** `owed`: to be done or being done; `failed`: tried in vain, tried again at `rollbackRetryAt`. */
export type RollbackDebt = "none" | "owed" | "failed";

/** Activation or health failed. */
export interface Failed extends AckedBase {
  readonly kind: "Failed";
  readonly failedAt: Instant;
  readonly cause: FailureCause;
  readonly failingProbes: readonly ProbeName[];
  readonly policyApplied: OnHealthFailure;
  readonly rollback: RollbackDebt;
  readonly rollbackStartedAt: Instant | null;
  readonly rollbackTries: number;
  readonly rollbackRetryAt: Instant | null;
}

/** Rolled back by itself. */
export interface Reverted extends AckedBase {
  readonly kind: "Reverted";
  readonly failedAt: Instant;
  readonly revertedAt: Instant;
  readonly revertedTo: ClosureHash;
  readonly currentClosure: ClosureHash;
}

/** Every state, in the order of a host's life: for tables, CHECK lists and legends. */
export const HOST_STATES = [
  "Pending",
  "Activating",
  "Deferred",
  "Soaking",
  "Converged",
  "Failed",
  "Reverted",
] as const satisfies readonly HostState[];

export interface DispatchedTo {
  readonly rolloutId: RolloutId;
  readonly host: HostName;
  readonly channel: Channel;
  readonly targetClosure: ClosureHash;
  readonly attempt: Attempt;
  readonly dispatchedAt: Instant;
  readonly soakDueAt: Instant;
  readonly journalId: JournalId;
  readonly terms: Terms | null;
}

/** The record that a host's first dispatch in a rollout opens. */
export function openHostRollout(init: DispatchedTo): Pending {
  const {
    rolloutId,
    host,
    channel,
    targetClosure,
    attempt,
    dispatchedAt,
    soakDueAt,
    journalId,
    terms,
  } = init;
  return {
    kind: "Pending",
    rolloutId,
    host,
    channel,
    targetClosure,
    attempt,
    dispatchedAt,
    soakDueAt,
    journalId,
    terms,
    lastSeq: 0,
    lastReject: null,
    supersededBy: null,
  };
}

/** Converged, Reverted, or Failed with no rollback to come; a superseded record is over too. */
export function isSettled(record: HostRollout): boolean {
  if (record.supersededBy !== null) return true;
  switch (record.kind) {
    case "Converged":
    case "Reverted":
      return true;
    case "Failed":
      return record.rollback === "none";
    case "Pending":
    case "Activating":
    case "Deferred":
    case "Soaking":
      return false;
  }
}

/** The host's system is being changed or judged: Activating, Soaking, Failed with a rollback to come. */
export function isInFlight(record: HostRollout): boolean {
  if (record.supersededBy !== null) return false;
  switch (record.kind) {
    case "Activating":
    case "Soaking":
      return true;
    case "Failed":
      return record.rollback !== "none";
    case "Pending":
    case "Deferred":
    case "Converged":
    case "Reverted":
      return false;
  }
}
