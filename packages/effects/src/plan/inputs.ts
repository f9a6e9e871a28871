import type { HostRollout } from "../host/state.ts";
import type { Channel, ClosureHash, FreezeId, HostName, JournalId, RolloutId } from "../ids.ts";
import { err, type Result } from "../result.ts";
import type {
  FreezeScope,
  Frozen,
  HostForgot,
  HostStateChanged,
  OperatorAdvanced,
  OperatorCancelled,
  OperatorCleared,
  OperatorPaused,
  OperatorResumed,
  OperatorRetried,
  QuarantineLifted,
  ReplayEnded,
  Unfrozen,
  Who,
} from "../rollout/input.ts";
import type { Instant } from "../time.ts";
import type { Fleet } from "./fleet.ts";

/** An input, or the sentence that says why it can't be made and what to do instead. */
export type Made<I> = Result<I, string>;

export type HostStateChangedBuilder = (
  fleet: Fleet,
  before: HostRollout,
  after: HostRollout,
  now: Instant,
) => HostStateChanged;
export type HostForgotBuilder = (
  fleet: Fleet,
  host: HostName,
  journalId: JournalId,
  now: Instant,
) => readonly HostForgot[];
export type OperatorBuilders = {
  readonly operatorPaused: (
    fleet: Fleet,
    on: RolloutId,
    who: Who & { readonly until: Instant | null },
    now: Instant,
  ) => Made<OperatorPaused>;
  readonly operatorResumed: (
    fleet: Fleet,
    on: RolloutId,
    who: Who,
    now: Instant,
  ) => Made<OperatorResumed>;
  readonly operatorAdvanced: (
    fleet: Fleet,
    on: { readonly rolloutId: RolloutId; readonly wave: number },
    who: Who,
    now: Instant,
  ) => Made<OperatorAdvanced>;
  readonly operatorCleared: (
    fleet: Fleet,
    on: RolloutId,
    who: Who,
    now: Instant,
  ) => Made<OperatorCleared>;
  readonly operatorCancelled: (
    fleet: Fleet,
    on: RolloutId,
    who: Who,
    now: Instant,
  ) => Made<OperatorCancelled>;
  readonly operatorRetried: (
    fleet: Fleet,
    on: HostName,
    who: Who,
    now: Instant,
  ) => Made<OperatorRetried>;
  readonly quarantineLifted: (
    fleet: Fleet,
    on: { readonly channel: Channel; readonly closure: ClosureHash },
    who: Who,
    now: Instant,
  ) => Made<QuarantineLifted>;
  readonly frozen: (
    fleet: Fleet,
    on: { readonly freezeId: FreezeId; readonly scope: FreezeScope },
    who: Who & { readonly until: Instant | null },
    now: Instant,
  ) => Made<Frozen>;
  readonly unfrozen: (fleet: Fleet, on: FreezeId, who: Who, now: Instant) => Made<Unfrozen>;
  readonly replayEnded: (
    fleet: Fleet,
    on: readonly Channel[],
    who: Who,
    now: Instant,
  ) => Made<ReplayEnded>;
};

export const beingWritten: Made<never> = err("being written");
