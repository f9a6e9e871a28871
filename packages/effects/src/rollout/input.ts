import type { HostState } from "../host/state.ts";
import type {
  Attempt,
  Channel,
  ChannelRef,
  ClosureHash,
  FreezeId,
  HostName,
  JournalId,
  RolloutId,
} from "../ids.ts";
import type { GateName } from "../plan/waiting.ts";
import type { Instant } from "../time.ts";

/**
 * Facts about rollouts and the fleet: past tense, plain JSON. The loop appends each to the log and then steps it; the
 * fold of the log steps the same facts and decides nothing, so whatever had to be counted or chosen is carried here.
 */

/** Counted by FleetState when the input is made: hosts Failed, Reverted or lost and not forgiven; those of them Reverted. */
export interface FailureCount {
  readonly failures: number;
  readonly reverted: number;
  readonly maxFailures: number;
}

/** Which operator, why; it is in the log with every action of a person. */
export interface Who {
  readonly by: string;
  readonly reason: string;
}

export interface AttemptOwed {
  readonly rolloutId: RolloutId;
  readonly host: HostName;
  readonly attempt: Attempt;
}

interface OfRollout {
  readonly rolloutId: RolloutId;
  readonly at: Instant;
}

export type SkipReason = "offline" | "quarantined" | "revoked";

export interface RolloutOpened extends OfRollout {
  readonly kind: "RolloutOpened";
  readonly channel: Channel;
  readonly ref: ChannelRef;
  readonly createdAt: Instant;
}
/** The planner's first dispatch to a host in this rollout, or the record that a replayed event needs. */
export interface HostJoined extends OfRollout {
  readonly kind: "HostJoined";
  readonly host: HostName;
  readonly attempt: Attempt;
  readonly journalId: JournalId;
  readonly dispatchedAt: Instant;
}
export interface DispatchCancelled extends OfRollout {
  readonly kind: "DispatchCancelled";
  readonly host: HostName;
  readonly attempt: Attempt;
  readonly gate: GateName;
}
export interface HostStateChanged extends OfRollout, FailureCount {
  readonly kind: "HostStateChanged";
  readonly host: HostName;
  readonly attempt: Attempt;
  readonly from: HostState;
  readonly to: HostState;
}
export interface HostSkipped extends OfRollout {
  readonly kind: "HostSkipped";
  readonly host: HostName;
  readonly reason: SkipReason;
}
export interface HostReturned extends OfRollout {
  readonly kind: "HostReturned";
  readonly host: HostName;
}
export interface WaveCompleted extends OfRollout {
  readonly kind: "WaveCompleted";
  readonly wave: number;
}
export interface RolloutCompleted extends OfRollout {
  readonly kind: "RolloutCompleted";
}
export interface SuccessorOpened extends OfRollout {
  readonly kind: "SuccessorOpened";
  readonly successor: RolloutId;
}
export interface OperatorPaused extends OfRollout, Who {
  readonly kind: "OperatorPaused";
  readonly until: Instant | null;
}
export interface OperatorResumed extends OfRollout, Who {
  readonly kind: "OperatorResumed";
}
export interface OperatorAdvanced extends OfRollout, Who {
  readonly kind: "OperatorAdvanced";
  readonly wave: number;
}
export interface OperatorCleared extends OfRollout, Who {
  readonly kind: "OperatorCleared";
  readonly forgiven: readonly HostName[];
  readonly attempts: readonly AttemptOwed[];
}
export interface OperatorRetried extends OfRollout, Who {
  readonly kind: "OperatorRetried";
  readonly host: HostName;
  readonly attempt: Attempt;
}
export interface OperatorCancelled extends OfRollout, Who {
  readonly kind: "OperatorCancelled";
}
export interface RetentionExpired extends OfRollout {
  readonly kind: "RetentionExpired";
}

export type RolloutInput =
  | RolloutOpened
  | HostJoined
  | DispatchCancelled
  | HostStateChanged
  | HostSkipped
  | HostReturned
  | WaveCompleted
  | RolloutCompleted
  | SuccessorOpened
  | OperatorPaused
  | OperatorResumed
  | OperatorAdvanced
  | OperatorCleared
  | OperatorRetried
  | OperatorCancelled
  | RetentionExpired;
export type RolloutInputKind = RolloutInput["kind"];

/** In flight and silent for lostSecs. The record does not change; its rollout counts it. */
export interface HostLost extends OfRollout, FailureCount {
  readonly kind: "HostLost";
  readonly host: HostName;
}
/** Heard again: taken out of the count, which is without it here; it never un-halts. */
export interface HostFound extends OfRollout, FailureCount {
  readonly kind: "HostFound";
  readonly host: HostName;
}
/** A new journal while a record is unsettled: the record counts as settled, its slot is free, one more attempt is due. */
export interface HostForgot extends OfRollout {
  readonly kind: "HostForgot";
  readonly host: HostName;
  readonly journalId: JournalId;
  readonly attempt: Attempt;
}

export type FreezeScope =
  | { readonly kind: "all" }
  | { readonly kind: "channel"; readonly channel: Channel }
  | { readonly kind: "hosts"; readonly hosts: readonly HostName[] };

export interface Freeze extends Who {
  readonly freezeId: FreezeId;
  readonly scope: FreezeScope;
  readonly since: Instant;
  readonly until: Instant | null;
}

export interface Frozen {
  readonly kind: "Frozen";
  readonly at: Instant;
  readonly freeze: Freeze;
}
export interface Unfrozen extends Who {
  readonly kind: "Unfrozen";
  readonly at: Instant;
  readonly freezeId: FreezeId;
}
export interface QuarantineLifted extends Who {
  readonly kind: "QuarantineLifted";
  readonly at: Instant;
  readonly channel: Channel;
  readonly closure: ClosureHash;
  readonly attempts: readonly AttemptOwed[];
}
/** `nixwave resume-after-restore`: the gate `replay` opens early. */
export interface ReplayEnded extends Who {
  readonly kind: "ReplayEnded";
  readonly at: Instant;
  readonly channels: readonly Channel[];
}

export type FleetInput =
  | HostLost
  | HostFound
  | HostForgot
  | Frozen
  | Unfrozen
  | QuarantineLifted
  | ReplayEnded;
export type FleetInputKind = FleetInput["kind"];
export type Input = RolloutInput | FleetInput;

/**
 * What an input is about: `rollout`, a rollout's own; `host`, of the fleet and about one host of a rollout, so that it is stepped
 * there too; `fleet`, about no rollout. Code that logs or folds inputs asks this and lists no kinds.
 */
export const INPUT_SUBJECT = {
  RolloutOpened: "rollout",
  HostJoined: "rollout",
  DispatchCancelled: "rollout",
  HostStateChanged: "rollout",
  HostSkipped: "rollout",
  HostReturned: "rollout",
  WaveCompleted: "rollout",
  RolloutCompleted: "rollout",
  SuccessorOpened: "rollout",
  OperatorPaused: "rollout",
  OperatorResumed: "rollout",
  OperatorAdvanced: "rollout",
  OperatorCleared: "rollout",
  OperatorRetried: "rollout",
  OperatorCancelled: "rollout",
  RetentionExpired: "rollout",
  HostLost: "host",
  HostFound: "host",
  HostForgot: "host",
  Frozen: "fleet",
  Unfrozen: "fleet",
  QuarantineLifted: "fleet",
  ReplayEnded: "fleet",
} as const satisfies { readonly [K in RolloutInputKind]: "rollout" } & {
  readonly [K in FleetInputKind]: "host" | "fleet";
};

type Subject = (typeof INPUT_SUBJECT)[Input["kind"]];
/** The inputs of one subject: `InputAbout<"host">` is HostLost, HostFound and HostForgot. */
export type InputAbout<S extends Subject> = Extract<
  Input,
  {
    readonly kind: {
      [K in Input["kind"]]: (typeof INPUT_SUBJECT)[K] extends S ? K : never;
    }[Input["kind"]];
  }
>;

/** Narrows by the declared subject. */
export const isInputAbout = <S extends Subject>(
  input: Input,
  ...subjects: readonly S[]
): input is InputAbout<S> => subjects.some((subject) => subject === INPUT_SUBJECT[input.kind]);
