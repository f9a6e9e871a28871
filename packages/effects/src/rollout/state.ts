import type { Attempt, Channel, ChannelRef, HostName, RolloutId } from "../ids.ts";
import type { Instant } from "../time.ts";

/** One release moving through its channel. Hosts' records and marks lie beside it, never inside. */
export type Rollout =
  | ActiveRollout
  | CompletedRollout
  | FailedRollout
  | RevertedRollout
  | SupersededRollout
  | PrunedRollout;
export type RolloutState = Rollout["kind"];

/** Who stopped it, why, and until when; it expires by itself at `until`. */
export interface Pause {
  readonly by: string;
  readonly reason: string;
  readonly since: Instant;
  readonly until: Instant | null;
}

/** The pause that holds the rollout now: the first instant that is no longer paused is `until`. */
export function pauseAt({ pause }: Rollout, now: Instant): Pause | null {
  return pause === null || (pause.until !== null && now >= pause.until) ? null : pause;
}

interface RolloutBase {
  readonly rolloutId: RolloutId;
  readonly channel: Channel;
  readonly ref: ChannelRef;
  readonly createdAt: Instant;
  readonly openedAt: Instant;
  /** The highest wave that may move; one past the last wave when all are complete. Only WaveCompleted moves it (hazard 24). */
  readonly cursor: number;
  /** Waves that an operator took as complete. */
  readonly advanced: readonly number[];
  readonly pause: Pause | null;
}

/** Why a rollout is halted: its hosts failed, or an operator ended it. */
export type HaltCause = "failures" | "cancelled";

export interface ActiveRollout extends RolloutBase {
  readonly kind: "Active";
}
/** Every wave is complete or advanced and every host done. Stays plannable for hosts that return, and can still fail there. */
export interface CompletedRollout extends RolloutBase {
  readonly kind: "Completed";
  readonly completedAt: Instant;
}
/** Halted. */
export interface FailedRollout extends RolloutBase {
  readonly kind: "Failed";
  readonly haltedAt: Instant;
  readonly cause: HaltCause;
}
/** Still halted; every host that failed has rolled back. */
export interface RevertedRollout extends RolloutBase {
  readonly kind: "Reverted";
  readonly haltedAt: Instant;
  readonly cause: HaltCause;
}
export interface SupersededRollout extends RolloutBase {
  readonly kind: "Superseded";
  readonly supersededAt: Instant;
  readonly supersededBy: RolloutId;
}
export interface PrunedRollout extends RolloutBase {
  readonly kind: "Pruned";
  readonly prunedAt: Instant;
}

export const ROLLOUT_STATES = [
  "Active",
  "Completed",
  "Failed",
  "Reverted",
  "Superseded",
  "Pruned",
] as const satisfies readonly RolloutState[];

/** What a rollout knows of a host beside the host's record; one per (rollout, host) that has any. */
export interface HostMarks {
  readonly rolloutId: RolloutId;
  readonly host: HostName;
  readonly skippedAt: Instant | null;
  readonly lostAt: Instant | null;
  readonly forgottenAt: Instant | null;
  readonly forgivenAt: Instant | null;
  /** The number of the attempt that is owed; the DispatchAck of that attempt clears it. */
  readonly attemptDue: Attempt | null;
  /** When an operator last asked for a retry; a refusal that the CP heard before it no longer blocks. */
  readonly retriedAt: Instant | null;
}

export const noMarks = (rolloutId: RolloutId, host: HostName): HostMarks => ({
  rolloutId,
  host,
  skippedAt: null,
  lostAt: null,
  forgottenAt: null,
  forgivenAt: null,
  attemptDue: null,
  retriedAt: null,
});
