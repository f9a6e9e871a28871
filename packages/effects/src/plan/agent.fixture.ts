import type { OutboundAgentEvent } from "../event.ts";
import type { HostRollout } from "../host/state.ts";
import type { Attempt, ClosureHash } from "../ids.ts";
import { addSecs, type Instant } from "../time.ts";
import { BOOT, type ControlPlane, closure, STABLE } from "./controlPlane.fixture.ts";

/** What a host does next, as the events that its agent would send. */
export type Deed =
  | "ack"
  | "reject"
  | "refuse"
  | "run"
  | "defer"
  | "break"
  | "converge"
  | "fail"
  | "rollbackFailed"
  | "revert";

const OLD = closure("old");

/** Does it, as far as it is legal. False if the record does not allow it. */
export function act(cp: ControlPlane, record: HostRollout, deed: Deed, attempt: Attempt): boolean {
  const { rolloutId, host } = record;
  return eventsOf(record, deed, attempt, cp.now).every((event) => {
    const present = cp.fleet.record(rolloutId, host);
    return present !== null && cp.event(present, event);
  });
}

function eventsOf(
  record: HostRollout,
  deed: Deed,
  attempt: Attempt,
  now: Instant,
): readonly OutboundAgentEvent[] {
  const { dispatchedAt, soakDueAt, targetClosure } = record;
  const answer = { attempt, dispatchedAt, soakDueAt };
  switch (deed) {
    case "ack":
      return [
        {
          kind: "DispatchAck",
          ...answer,
          previous: null,
          currentClosureAtDispatch: OLD,
          rollbackTarget: OLD,
          ackedAt: now,
        },
        { kind: "ActivationStarted", startedAt: now, switchMethod: "switch" },
      ];
    case "reject":
      return [rejected(answer, { reason: "a switch runs", retryable: true }, now)];
    case "refuse":
      return [rejected(answer, { reason: "targetClosure differs", retryable: false }, now)];
    case "run":
      return ran(targetClosure, now);
    case "defer":
      return [{ kind: "ActivationDeferred", component: "kernel", bootId: BOOT, deferredAt: now }];
    case "break":
      return [
        {
          kind: "ActivationFailed",
          phase: "switch",
          untouched: false,
          exitCode: 1,
          stderrTail: "",
          failedAt: now,
        },
      ];
    case "converge":
      return [
        { kind: "Converged", convergedAt: addSecs(now, 3600), currentClosure: targetClosure },
      ];
    case "fail":
      return [
        {
          kind: "Failed",
          failedAt: now,
          sustainedDurationSecs: 60,
          failingProbes: [STABLE],
          policyApplied: "rollback-and-halt",
        },
      ];
    case "rollbackFailed":
      return [
        { kind: "RollbackStarted", startedAt: now },
        { kind: "RollbackFailed", exitCode: 1, stderrTail: "", failedAt: now },
      ];
    case "revert":
      return [
        { kind: "RollbackStarted", startedAt: now },
        { kind: "RollbackComplete", revertedToClosure: OLD, exitCode: 0, completedAt: now },
      ];
  }
}

const rejected = (
  answer: Pick<HostRollout, "attempt" | "dispatchedAt" | "soakDueAt">,
  why: { readonly reason: string; readonly retryable: boolean },
  rejectedAt: Instant,
): OutboundAgentEvent => ({ kind: "DispatchReject", ...answer, code: null, ...why, rejectedAt });

const ran = (target: ClosureHash, now: Instant): readonly OutboundAgentEvent[] => [
  { kind: "ActivationCompleted", observedCurrentClosure: target, exitCode: 0, completedAt: now },
  {
    kind: "ProbeTopologyDeclared",
    probes: [{ probeName: STABLE, kind: STABLE, mode: "enforce", intervalSecs: 10 }],
    bootId: BOOT,
    declaredAt: now,
  },
  {
    kind: "ProbeResult",
    probeName: STABLE,
    mode: "enforce",
    status: "pass",
    observedAt: addSecs(now, 1),
    failureReason: null,
    subResults: null,
  },
];
