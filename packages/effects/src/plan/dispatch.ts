import type { Attempt, ClosureHash, HostName, RolloutId } from "../ids.ts";
import type { Instant } from "../time.ts";

/**
 * The CP's permission to move: queued → handed out (leased) → acknowledged; or rejected, cancelled, superseded.
 * At most one per host is open. Nothing expires by age.
 */
export type DispatchState =
  | "queued"
  | "handed-out"
  | "acknowledged"
  | "rejected"
  | "cancelled"
  | "superseded";

export const DISPATCH_STATES = [
  "queued",
  "handed-out",
  "acknowledged",
  "rejected",
  "cancelled",
  "superseded",
] as const satisfies readonly DispatchState[];

export interface Dispatch {
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly attempt: Attempt;
  readonly targetClosure: ClosureHash;
  readonly soakDueAt: Instant;
  /** The commit's `now` at queueing; constant over re-delivery. */
  readonly dispatchedAt: Instant;
  readonly state: DispatchState;
  /** When the state was last changed, by the CP's clock. */
  readonly changedAt: Instant;
  /** When an agent may last hold it, or null if it was never handed out. Renewals stay in memory; after a restart it counts from CP ready. */
  readonly leaseUntil: Instant | null;
}

/** A cancelled dispatch still holds its slot until its lease is over and a later heartbeat does not show the attempt. */
export const isOpen = (dispatch: Dispatch): boolean =>
  dispatch.state === "queued" || dispatch.state === "handed-out";
