import {
  type Dispatch,
  type Fleet,
  type Handlers,
  type InPhase,
  type Instant,
  invariant,
  queuedDispatch,
  type RemoteEffect,
  type SharedEffect,
} from "@nixwave/effects";
import type { DerivedChange } from "../store/change.ts";

/** What a commit effect may touch: rows of the batch being decided, as plain data. */
export interface CommitContext {
  readonly fleet: Fleet;
  readonly now: Instant;
  /** Appends the received line as it came; nothing to do where stored lines are folded. */
  appendReceived(): void;
  change(change: DerivedChange): void;
  queueDispatch(dispatch: Dispatch): void;
}

/** The control plane's interpreter of commit effects: one function per kind, inside the transaction of the new state. */
export const COMMIT_HANDLERS: Handlers<
  InPhase<RemoteEffect | SharedEffect, "commit">,
  CommitContext,
  void
> = {
  RemoteAppendEventLog(_effect, context) {
    context.appendReceived();
  },
  RecordTransition({ host, rolloutId, from, to, at }, context) {
    context.change({ kind: "TransitionRecorded", host, rolloutId, from, to, at });
  },
  RemoteInsertQuarantine({ channel, closure }, context) {
    // The first report dates the quarantine; later ones of the same closure say nothing new.
    if (context.fleet.quarantinedSince(channel, closure) !== null) return;
    context.change({ kind: "QuarantineInserted", channel, closure, since: context.now });
  },
  RemoteOpenRolloutRecord({ rolloutId, host }, { fleet }) {
    // The HostJoined of the same commit carries what a fresh record needs, so its fold has inserted it; twice changes nothing.
    invariant(
      fleet.record(rolloutId, host) !== null,
      `the HostJoined of ${host} has opened its record in ${rolloutId}`,
    );
  },
  RemoteQueueDispatch(effect, context) {
    const dispatch = queuedDispatch(context.fleet, effect, context.now);
    invariant(dispatch !== null, `a plan queues only for hosts that ${effect.rolloutId} lists`);
    context.queueDispatch(dispatch);
  },
};
