import type { DispatchAck, Handlers, OutboundAgentEvent } from "@nixwave/effects";
import { duration } from "../render/duration.ts";
import { counted, listed, shortClosure } from "../render/name.ts";
import { harmless } from "../render/style.ts";

const exited = (code: number | null): string => (code === null ? "killed" : `exit ${code}`);

/** The last line of what a unit wrote to stderr: the one that usually names the cause. */
function lastLine(stderrTail: string): string {
  const last = stderrTail
    .split("\n")
    .map((line) => line.trim())
    .findLast((line) => line !== "");
  return last === undefined ? "" : `: ${harmless(last)}`;
}

/** A null target has two reasons: there is nothing to go back from, or nothing to go back to. */
function wayBack({ rollbackTarget, currentClosureAtDispatch }: DispatchAck): string {
  if (rollbackTarget !== null) return `a rollback would go to ${shortClosure(rollbackTarget)}`;
  return currentClosureAtDispatch === null
    ? "nothing ran before it that it could go back to"
    : "it runs the target already";
}

/** What a host reported, as one past-tense clause without the host's name. */
export const EVENT_WORDS: Handlers<OutboundAgentEvent, null, string> = {
  DispatchAck: (event) => `acknowledged attempt ${event.attempt}; ${wayBack(event)}`,
  DispatchReject: (event) =>
    `rejected attempt ${event.attempt}${event.code === null ? "" : ` (${event.code})`}: ${harmless(event.reason)} (${event.retryable ? "will be tried again" : "final"})`,
  ActivationStarted: (event) =>
    event.switchMethod === "none" ? "had nothing to switch" : `began the ${event.switchMethod}`,
  ActivationCompleted: (event) =>
    `runs ${shortClosure(event.observedCurrentClosure)} (${exited(event.exitCode)}); its soak begins`,
  ActivationDeferred: (event) =>
    `staged the target for the next boot: ${harmless(event.component)} cannot be swapped live`,
  ActivationFailed: (event) =>
    `failed to activate in phase ${event.phase} (${exited(event.exitCode)})${lastLine(event.stderrTail)}`,
  ProbeTopologyDeclared: (event) =>
    `declared ${counted(event.probes.length, "probe")}: ${listed(event.probes.map((probe) => probe.probeName))}`,
  ProbeObservedFirst: (event) =>
    `probe ${event.probeName} (${event.mode}) answered for the first time`,
  ProbeResult: (event) =>
    event.failureReason === null
      ? `probe ${event.probeName}: ${event.status}`
      : `probe ${event.probeName}: ${event.status}, ${harmless(event.failureReason)}`,
  ProbeFailureFirst: (event) =>
    `probe ${event.probeName} (${event.mode}) failed for the first time`,
  Failed: (event) =>
    `failed its health after ${duration(event.sustainedDurationSecs)}: ${listed(event.failingProbes)} (${event.policyApplied})`,
  RollbackStarted: () => "began to roll back",
  RollbackComplete: (event) =>
    `rolled back and runs ${shortClosure(event.revertedToClosure)} (${exited(event.exitCode)})`,
  RollbackFailed: (event) =>
    `could not roll back (${exited(event.exitCode)})${lastLine(event.stderrTail)}`,
  Converged: (event) => `converged on ${shortClosure(event.currentClosure)}`,
};
