import type { RemoteQueueDispatch } from "../effect.ts";
import type { DispatchAck, DispatchReject } from "../event.ts";
import { openHostRollout } from "../host/state.ts";
import { FIRST_ATTEMPT, type HostName, type RolloutId } from "../ids.ts";
import { type HostJoined, type Input, type InputAbout, isInputAbout } from "../rollout/input.ts";
import { stepMarks } from "../rollout/marks.ts";
import { type RolloutOutcome, type RolloutStepInput, stepRollout } from "../rollout/step.ts";
import { addSecs, type Instant } from "../time.ts";
import type { FleetChange } from "./change.ts";
import { type Dispatch, isOpen } from "./dispatch.ts";
import type { FleetState } from "./fleet.ts";
import { mayHoldSlot } from "./member.ts";

/** What one logged input does; a refused one changes nothing. */
export interface Folded {
  readonly outcome: RolloutOutcome;
  readonly changes: readonly FleetChange[];
}

/**
 * What one logged input does to rollouts, marks, dispatches, freezes and quarantines: the rows that the CP writes and, applied
 * in this order, the fleet in memory. A fold over the stored log calls the same function, so nothing is decided here.
 * HostJoined opens the Pending record, so RemoteOpenRolloutRecord finds it there and changes nothing.
 */
export function foldInput(fleet: FleetState, input: Input): Folded {
  return isInputAbout(input, "rollout", "host")
    ? foldIntoRollout(fleet, input)
    : changed(foldIntoFleet(fleet, input));
}

function foldIntoFleet(fleet: FleetState, input: InputAbout<"fleet">): readonly FleetChange[] {
  switch (input.kind) {
    case "Frozen":
      return [{ kind: "FreezeInserted", freeze: input.freeze }];
    case "Unfrozen":
      return [{ kind: "FreezeRemoved", freezeId: input.freezeId }];
    case "ReplayEnded":
      return [{ kind: "ReplayEnded", channels: input.channels }];
    case "QuarantineLifted": {
      const { channel, closure } = input;
      const owed = input.attempts.flatMap(({ rolloutId, host }) =>
        marksChanged(fleet, rolloutId, host, input),
      );
      return [{ kind: "QuarantineRemoved", channel, closure }, ...owed];
    }
  }
}

const changed = (changes: readonly FleetChange[]): Folded => ({
  outcome: { kind: "stayed" },
  changes,
});

function foldIntoRollout(fleet: FleetState, input: RolloutStepInput): Folded {
  const before = fleet.rollout(input.rolloutId);
  const { outcome, rollout } = stepRollout(before, input, input.at);
  if (outcome.kind === "refused" || rollout === null) return { outcome, changes: [] };
  const moved: FleetChange[] = rollout === before ? [] : [{ kind: "RolloutChanged", rollout }];
  const marked = hostsOf(input).flatMap((host) =>
    marksChanged(fleet, input.rolloutId, host, input),
  );
  return { outcome, changes: [...moved, ...marked, ...besides(fleet, input)] };
}

function marksChanged(
  fleet: FleetState,
  rolloutId: RolloutId,
  host: HostName,
  input: Input,
): readonly FleetChange[] {
  const before = fleet.marks(rolloutId, host);
  const marks = stepMarks(before, input);
  return marks === before ? [] : [{ kind: "MarksChanged", marks }];
}

function hostsOf(input: RolloutStepInput): readonly HostName[] {
  if (input.kind === "OperatorCleared")
    return [...new Set([...input.forgiven, ...input.attempts.map(({ host }) => host)])];
  return "host" in input ? [input.host] : [];
}

/** What an input does beside rollout and marks. */
function besides(fleet: FleetState, input: RolloutStepInput): readonly FleetChange[] {
  if (input.kind === "HostJoined") return joined(fleet, input);
  if (input.kind === "SuccessorOpened")
    return fleet
      .openDispatches(input.rolloutId)
      .map((dispatch) => withdrawn(dispatch, "superseded", input.at));
  if (input.kind !== "DispatchCancelled") return [];
  const dispatch = fleet.dispatch(input.rolloutId, input.host);
  const isMeant = dispatch?.attempt === input.attempt && isOpen(dispatch);
  return isMeant ? [withdrawn(dispatch, "cancelled", input.at)] : [];
}

const withdrawn = (
  dispatch: Dispatch,
  state: "cancelled" | "superseded",
  changedAt: Instant,
): FleetChange => ({ kind: "DispatchChanged", dispatch: { ...dispatch, state, changedAt } });

/** Inserts a fresh Pending record; one that is there stays as it is (hazard 23). */
function joined(fleet: FleetState, input: HostJoined): readonly FleetChange[] {
  const { rolloutId, host, attempt, journalId, dispatchedAt } = input;
  const release = fleet.index.rollouts.get(rolloutId)?.release ?? null;
  const listed = release?.hosts[release.orderOf.get(host) ?? -1];
  if (release === null || listed === undefined) return [];
  if (fleet.record(rolloutId, host) !== null) return [];
  const { policy, channel, waves } = release.release;
  const { wave, closure: targetClosure, closureDigest } = listed;
  const soakSecs = waves.find(({ index }) => index === wave)?.soakSecs ?? 0;
  const record = openHostRollout({
    rolloutId,
    host,
    channel,
    targetClosure,
    attempt,
    dispatchedAt,
    soakDueAt: addSecs(dispatchedAt, soakSecs),
    journalId,
    terms: { policy, wave, soakSecs, closureDigest },
  });
  return [{ kind: "RecordChanged", record }];
}

/**
 * The row of a RemoteQueueDispatch, after its HostJoined was folded: the attempt is the one owed, else the record's. A lease
 * that an earlier, withdrawn dispatch still has out is carried on, so that its slot is not given away.
 */
export function queuedDispatch(
  fleet: FleetState,
  { host, rolloutId, targetClosure, soakDueAt }: RemoteQueueDispatch,
  now: Instant,
): Dispatch {
  const before = fleet.dispatch(rolloutId, host);
  const recorded = fleet.record(rolloutId, host)?.attempt ?? null;
  const { attemptDue } = fleet.marks(rolloutId, host);
  const isOwed = attemptDue !== null && (recorded === null || attemptDue > recorded);
  return {
    host,
    rolloutId,
    attempt: isOwed ? attemptDue : (recorded ?? FIRST_ATTEMPT),
    targetClosure,
    soakDueAt,
    dispatchedAt: now,
    state: "queued",
    changedAt: now,
    leaseUntil: before !== null && mayHoldSlot(before) ? before.leaseUntil : null,
  };
}

/** A host's answer to its dispatch, also to a withdrawn one; the same reference if it is about an earlier attempt. */
export function answeredDispatch(
  dispatch: Dispatch,
  event: DispatchAck | DispatchReject,
  now: Instant,
): Dispatch {
  const isAnswered = dispatch.state === "acknowledged" || dispatch.state === "rejected";
  if (event.kind === "DispatchAck")
    return event.attempt >= dispatch.attempt && dispatch.state !== "acknowledged"
      ? { ...dispatch, state: "acknowledged", changedAt: now }
      : dispatch;
  const isIt = event.attempt >= dispatch.attempt && !isAnswered;
  return isIt ? { ...dispatch, state: "rejected", changedAt: now } : dispatch;
}

/**
 * An answer to this very dispatch that the mirror refused: it is answered all the same, so it is not handed out again, and the gate
 * `refused` holds the host until a person looks. The same reference where it answers another.
 */
export const refusedDispatch = (
  dispatch: Dispatch,
  event: DispatchAck | DispatchReject,
  now: Instant,
): Dispatch =>
  isOpen(dispatch) && event.attempt === dispatch.attempt
    ? { ...dispatch, state: "rejected", changedAt: now }
    : dispatch;
