import type {
  ActivationPhase,
  Attempt,
  BootId,
  ClosureHash,
  DeclaredProbe,
  HostRollout,
  Instant,
  JournalId,
  Outcome,
  ProbeMode,
  ProbeName,
  ProbeStatus,
  RolloutId,
  Seen,
  Seq,
  SubResult,
  SwitchMethod,
} from "@nixwave/effects";
import type {
  DispatchOffer,
  EventsAnswer,
  HostRelease,
  LogHead,
  ReleaseFile,
  Verified,
} from "@nixwave/protocol";
import type { Found } from "./probes/baseline.ts";
import type { ReleaseRefusal } from "./releases.ts";

/**
 * What puts the loop to work: facts that inbound/ and the workers found, past tense, plain data, without a time of their
 * own. The loop stamps `now`, so that one steady clock dates every event.
 */
export type Input = HostInput | DispatchInput | WorkerInput | OutboxInput | OperatorInput;
export type InputKind = Input["kind"];

/** Names one try at one record. A worker's report about any other is stale, and is dropped (hazards 5 and 15). */
export interface RecordRef {
  readonly rolloutId: RolloutId;
  readonly journalId: JournalId;
  readonly attempt: Attempt;
}

export type HostInput =
  /**
   * The agent began. `strayUnit`: a unit of ours runs that no record knows, so the journal has forgotten something and is
   * begun anew under `nextJournalId`. `pinned`: the known-good closure as it is pinned outside the journal.
   */
  | {
      readonly kind: "Booted";
      readonly strayUnit: boolean;
      readonly nextJournalId: JournalId;
      readonly pinned: ClosureHash | null;
    }
  /** `nextDueAt` has passed, or an observation is to be asked again. */
  | { readonly kind: "TimerFired" }
  /** The newest metadata of the repository were verified: the wall clock is measured by when they were signed. */
  | { readonly kind: "MetadataVerified"; readonly signedAt: Instant };

export type DispatchInput =
  | {
      readonly kind: "DispatchReceived";
      readonly offer: DispatchOffer;
      /** The instant of the poll plus leaseSecs, on the steady clock: nothing is acknowledged after it. */
      readonly leaseUntil: Instant;
    }
  | {
      readonly kind: "ReleaseVerified";
      readonly offer: DispatchOffer;
      readonly leaseUntil: Instant;
      /** Only packages/protocol can make one: nothing else is ever activated (I1). */
      readonly release: Verified<HostRelease>;
      /** As they were received, to be kept: the last verified release needs no network. */
      readonly files: readonly ReleaseFile[];
      /** Read from the system after the verification. */
      readonly running: ClosureHash | null;
      /** A switch or rollback unit runs, of whatever journal. */
      readonly busy: boolean;
    }
  | {
      readonly kind: "ReleaseRefused";
      readonly offer: DispatchOffer;
      readonly leaseUntil: Instant;
      readonly refusal: ReleaseRefusal;
    };

export type WorkerInput =
  /** About to set the profile and fire; the worker goes on only after the commit, and after reading the record again. */
  | {
      readonly kind: "SwitchStarting";
      readonly of: RecordRef;
      readonly switchMethod: SwitchMethod;
      /** Taken before the attempt's first start, and only then: afterwards the switch may have changed it. Null: later ones. */
      readonly found: Found | null;
    }
  | { readonly kind: "RollbackStarting"; readonly of: RecordRef }
  | {
      readonly kind: "Observed";
      readonly of: RecordRef;
      /** The record's `starts` or `rollbackTries` when the machine was read: an outcome belongs to one try only. */
      readonly tryNo: number;
      readonly seen: Seen;
    }
  /** The switch was given up before its unit could say anything. `untouched` is observed. */
  | {
      readonly kind: "SwitchBroke";
      readonly of: RecordRef;
      readonly phase: ActivationPhase;
      readonly untouched: boolean;
      readonly exitCode: number | null;
      readonly stderrTail: string;
    }
  | {
      readonly kind: "BootStaged";
      readonly of: RecordRef;
      readonly component: string;
      readonly bootId: BootId;
    }
  | {
      readonly kind: "RollbackBroke";
      readonly of: RecordRef;
      readonly exitCode: number | null;
      readonly stderrTail: string;
    }
  | {
      readonly kind: "TopologyDeclared";
      readonly of: RecordRef;
      readonly probes: readonly DeclaredProbe[];
      readonly bootId: BootId;
    }
  | {
      readonly kind: "ProbeReported";
      readonly of: RecordRef;
      readonly probeName: ProbeName;
      readonly mode: ProbeMode;
      readonly status: ProbeStatus;
      readonly failureReason: string | null;
      readonly subResults: readonly SubResult[] | null;
    };

export type OutboxInput =
  | {
      readonly kind: "OutboxAcked";
      readonly journalId: JournalId;
      readonly streams: EventsAnswer["streams"];
    }
  | {
      readonly kind: "HeartbeatAnswered";
      readonly replayFrom: { readonly [rolloutId: RolloutId]: Seq };
      readonly logHead: LogHead | null;
    }
  /** The CP takes this journal for a former one, or sees that it was set back: the agent starts a new one. */
  | {
      readonly kind: "JournalRefused";
      readonly journalId: JournalId;
      readonly code: "old-journal" | "set-back";
      readonly nextJournalId: JournalId;
    };

export type OperatorInput =
  /** 0 seconds end the hold. */
  | { readonly kind: "HoldSet"; readonly secs: number; readonly reason: string }
  | { readonly kind: "RollbackAsked"; readonly reason: string };

/** What became of an input, after its commit. */
export interface Answer {
  /** `ignored`: stale, or nothing to do; `refused` names why, for people. */
  readonly outcome: Outcome | { readonly kind: "ignored"; readonly reason: string };
  /** The record that the input was about, as it is now. */
  readonly record: HostRollout | null;
}

/** One queue, one loop behind it. */
export interface Mailbox {
  /**
   * Resolves after the commit of this input and after its perform effects were begun. While the journal can't be written
   * the input waits and is tried again; it rejects only when the agent stops, or when the queue is full.
   */
  submit(input: Input): Promise<Answer>;
}

/** The record that an input is about, or null where it is about the host. */
export function rolloutOf(input: Input): RolloutId | null {
  if ("of" in input) return input.of.rolloutId;
  if ("offer" in input) return input.offer.rolloutId;
  return null;
}
