import { addSecs, type Dispatch, invariant } from "@nixwave/effects";
import type { DispatchOffer } from "@nixwave/protocol";
import type { DispatchTaken, Refused, TakeDispatch } from "../command.ts";
import { LEASE_SECS } from "../store/leases.ts";
import { listed } from "../store/listing.ts";
import { arrive } from "./arrival.ts";
import type { Draft } from "./draft.ts";

/**
 * Hears the host at once, and hands out only after the batch was planned: a gate that closes in the same commit has cancelled the
 * dispatch by then (I7, hazard 18).
 */
export function decideTakeDispatch(
  draft: Draft,
  command: TakeDispatch,
): () => DispatchTaken | Refused {
  const arrived = arrive(draft, command, null);
  if ("kind" in arrived) return () => arrived;
  return () => handOut(draft, command);
}

function handOut(draft: Draft, { host, holding }: TakeDispatch): DispatchTaken {
  const { memory, now } = draft;
  const dispatch = memory.fleet.openDispatch(host);
  if (dispatch === null) return { kind: "none", askAgainAt: null };
  const leaseUntil = addSecs(now, LEASE_SECS);
  if (dispatch.state === "queued") {
    draft.dispatch({ ...dispatch, state: "handed-out", changedAt: now, leaseUntil });
    return { kind: "offer", offer: offerOf(draft, dispatch) };
  }
  if (holding?.rolloutId === dispatch.rolloutId && holding.attempt === dispatch.attempt) {
    renew(draft, dispatch);
    return { kind: "held" };
  }
  if (dispatch.leaseUntil !== null && now < dispatch.leaseUntil)
    return { kind: "none", askAgainAt: dispatch.leaseUntil };
  // The answer was lost, or the agent with it. Not a new decision, so no line (hazard 71).
  renew(draft, dispatch);
  return { kind: "offer", offer: offerOf(draft, dispatch) };
}

function renew({ memory, now }: Draft, dispatch: Dispatch): void {
  memory.leases.renew(dispatch, now);
  memory.fleet.apply({ kind: "DispatchChanged", dispatch: memory.leases.held(dispatch) });
}

function offerOf({ memory }: Draft, dispatch: Dispatch): DispatchOffer {
  const { rolloutId, host, attempt, targetClosure, soakDueAt, dispatchedAt } = dispatch;
  const release = memory.release(rolloutId);
  const entry = release === null ? null : listed(release, host);
  invariant(release !== null && entry !== null, `${rolloutId} lists ${host}, so it was dispatched`);
  const { channel, ref } = release;
  return {
    rolloutId,
    channel,
    ref,
    targetClosure,
    attempt,
    wave: entry.wave,
    soakDueAt,
    dispatchedAt,
    leaseSecs: LEASE_SECS,
    timestampVersion: null,
  };
}
