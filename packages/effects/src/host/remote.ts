import type { RemoteEffect, SharedEffect } from "../effect.ts";
import type { Envelope, OutboundAgentEvent } from "../event.ts";
import type { RolloutId } from "../ids.ts";
import type { Instant } from "../time.ts";
import type { Outcome } from "./outcome.ts";
import { recordTransition, report } from "./report.ts";
import type { HostRollout } from "./state.ts";
import { supersede, transition } from "./transition.ts";

export interface RemoteStep {
  readonly outcome: Outcome;
  readonly state: HostRollout;
  readonly effects: readonly (RemoteEffect | SharedEffect)[];
}

/** The CP's reading of an agent's event: a mirror. What was received is logged first, whether it moved, stayed or was refused. */
export function stepRemote(state: HostRollout, envelope: Envelope, now: Instant): RemoteStep {
  const { outcome, state: next } = transition(state, envelope);
  switch (outcome.kind) {
    case "moved":
    case "stayed":
      return {
        outcome,
        state: next,
        effects: [
          append(envelope),
          ...quarantine(next, envelope.event),
          ...recordTransition(outcome, next, now),
          ...report(outcome, next, envelope.event),
        ],
      };
    case "refused":
      return {
        outcome,
        state: next,
        effects: [append(envelope), ...report(outcome, next, envelope.event)],
      };
    case "duplicate":
    case "gap":
      return { outcome, state: next, effects: [] };
  }
}

/**
 * An event that was made before `endedBy` was acknowledged and arrives after it: it is stepped as it was made, and the record is ended
 * again, unless it is settled now. An agent writes nothing to a record that a newer acknowledgement ended (Superseding 3), so whatever
 * still comes of that record in the same journal is older than the acknowledgement.
 */
export function stepRemotePast(
  state: HostRollout,
  envelope: Envelope,
  now: Instant,
  endedBy: RolloutId,
): RemoteStep {
  const step = stepRemote({ ...state, supersededBy: null }, envelope, now);
  switch (step.outcome.kind) {
    case "moved":
    case "stayed":
    case "refused":
      return { ...step, state: supersede(step.state, endedBy) };
    case "duplicate":
    case "gap":
      return { ...step, state };
  }
}

const append = ({ host, rolloutId, event }: Envelope): RemoteEffect => ({
  kind: "RemoteAppendEventLog",
  host,
  rolloutId,
  payload: event,
});

/** A closure that had to be taken back, or could not be, is handed to nobody else on its channel. */
function quarantine(state: HostRollout, event: OutboundAgentEvent): readonly RemoteEffect[] {
  switch (event.kind) {
    case "RollbackComplete":
    case "RollbackFailed":
      return [
        { kind: "RemoteInsertQuarantine", channel: state.channel, closure: state.targetClosure },
      ];
    case "DispatchAck":
    case "DispatchReject":
    case "ActivationStarted":
    case "ActivationCompleted":
    case "ActivationDeferred":
    case "ActivationFailed":
    case "ProbeTopologyDeclared":
    case "ProbeObservedFirst":
    case "ProbeResult":
    case "ProbeFailureFirst":
    case "Failed":
    case "RollbackStarted":
    case "Converged":
      return [];
  }
}
