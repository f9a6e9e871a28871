import type { LocalEffect, SharedEffect } from "../effect.ts";
import type { Envelope, OutboundAgentEvent } from "../event.ts";
import type { Instant } from "../time.ts";
import type { Outcome } from "./outcome.ts";
import { recordTransition, report } from "./report.ts";
import type { HostRollout } from "./state.ts";
import { transition } from "./transition.ts";

export interface LocalStep {
  readonly outcome: Outcome;
  readonly state: HostRollout;
  readonly effects: readonly (LocalEffect | SharedEffect)[];
}

/**
 * The agent's reading of its own event. An event that its own table refuses was never made: the record stays as it was
 * and nothing is emitted, so that its number is not spent on a line that the CP would refuse too.
 */
export function stepLocal(state: HostRollout, envelope: Envelope, now: Instant): LocalStep {
  const { outcome, state: next } = transition(state, envelope);
  switch (outcome.kind) {
    case "moved":
    case "stayed": {
      const { rolloutId, event } = envelope;
      const emit: LocalEffect = {
        kind: "LocalEmitEvent",
        rolloutId,
        payload: event,
        durable: isDurable(event),
      };
      return {
        outcome,
        state: next,
        effects: [
          emit,
          ...recordTransition(outcome, next, now),
          ...owedBy(next, event),
          ...report(outcome, next, event),
        ],
      };
    }
    case "refused":
      return { outcome, state, effects: report(outcome, state, envelope.event) };
    case "duplicate":
    case "gap":
      return { outcome, state, effects: [] };
  }
}

/** Whether the event must survive a power cut by itself. Probe reports may be lost with their suffix: they are observed again. */
function isDurable(event: OutboundAgentEvent): boolean {
  switch (event.kind) {
    case "ProbeObservedFirst":
    case "ProbeResult":
    case "ProbeFailureFirst":
      return false;
    case "DispatchAck":
    case "DispatchReject":
    case "ActivationStarted":
    case "ActivationCompleted":
    case "ActivationDeferred":
    case "ActivationFailed":
    case "ProbeTopologyDeclared":
    case "Failed":
    case "RollbackStarted":
    case "RollbackComplete":
    case "RollbackFailed":
    case "Converged":
      return true;
  }
}

/** What the new state asks of the machine. */
function owedBy(state: HostRollout, event: OutboundAgentEvent): readonly LocalEffect[] {
  const { rolloutId } = state;
  switch (event.kind) {
    case "DispatchAck":
      return [{ kind: "LocalFireSwitch", rolloutId, target: state.targetClosure }];
    case "ActivationCompleted":
      return [{ kind: "LocalResetProbeCache", rolloutId }];
    case "ActivationFailed":
    case "Failed":
      return rollbackOf(state);
    case "DispatchReject":
    case "ActivationStarted":
    case "ActivationDeferred":
    case "ProbeTopologyDeclared":
    case "ProbeObservedFirst":
    case "ProbeResult":
    case "ProbeFailureFirst":
    case "RollbackStarted":
    case "RollbackComplete":
    case "RollbackFailed":
    case "Converged":
      return [];
  }
}

/** The rollback that a record owes, if any: to exactly its rollback target. */
export function rollbackOf(state: HostRollout): readonly LocalEffect[] {
  if (state.kind !== "Failed" || state.rollback === "none" || state.rollbackTarget === null)
    return [];
  return [
    { kind: "LocalFireRollbackTo", rolloutId: state.rolloutId, closure: state.rollbackTarget },
  ];
}
