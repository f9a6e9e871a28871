import type { RemoteQueueDispatch } from "../effect.ts";
import type { DispatchAck, DispatchReject } from "../event.ts";
import { invariant } from "../invariant.ts";
import type { Input } from "../rollout/input.ts";
import type { RolloutOutcome } from "../rollout/step.ts";
import type { Instant } from "../time.ts";
import type { FleetChange } from "./change.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Fleet } from "./fleet.ts";

/**
 * What one logged input does to rollouts, marks, dispatches, freezes and quarantines: the rows that the CP writes and, applied
 * in this order, the fleet in memory. A fold over the stored log calls the same function, so nothing is decided here.
 * HostJoined opens the Pending record, so RemoteOpenRolloutRecord finds it there and changes nothing.
 */
export function foldInput(
  fleet: Fleet,
  input: Input,
): { readonly outcome: RolloutOutcome; readonly changes: readonly FleetChange[] } {
  invariant(fleet.readyAt < 0 && input.at < 0, "being written");
  return { outcome: { kind: "stayed" }, changes: [] };
}

/** The row of a RemoteQueueDispatch: attempt is the one owed, else the record's, else the first. */
export function queuedDispatch(
  fleet: Fleet,
  effect: RemoteQueueDispatch,
  now: Instant,
): Dispatch | null {
  invariant(fleet.readyAt < 0 && now < effect.soakDueAt, "being written");
  return null;
}

/** A host's answer to its dispatch, also to a cancelled or superseded one; the same reference if it is about another attempt. */
export function answeredDispatch(
  dispatch: Dispatch,
  event: DispatchAck | DispatchReject,
  now: Instant,
): Dispatch {
  invariant(event.attempt < dispatch.attempt && now < 0, "being written");
  return dispatch;
}
