import {
  type Attempt,
  addSecs,
  type ClosureHash,
  type DeclaredProbe,
  type Instant,
  isAttempt,
  type OutboundAgentEvent,
  type ProbeMode,
  type ProbeName,
  type Seen,
  SYSTEM_STABLE,
} from "@nixwave/effects";
import { closure, closureName, probeName } from "./build.ts";

/** What an event takes from the world unless its options say otherwise. */
interface World {
  readonly now: Instant;
  readonly seen: Seen;
}

type Options = ReadonlyMap<string, string>;

/** An event from the words of a transcript: `event stable@a1 ProbeResult probe=http status=fail`. */
export function eventOf(kind: string, options: Options, { now, seen }: World): OutboundAgentEvent {
  const mode = modeOf(options.get("mode"));
  const probe = (): ProbeName => probeName(options.get("probe") ?? "http");
  const named = (key: string, otherwise: ClosureHash | null): ClosureHash | null => {
    const name = options.get(key);
    return name === undefined ? otherwise : name === "none" ? null : closure(name);
  };
  const running = named("observed", seen.runningClosure) ?? closure("none");
  const exitCode = options.has("exit") ? Number(options.get("exit")) : 0;
  const answer = {
    attempt: attemptOf(options.get("attempt")),
    dispatchedAt: now,
    soakDueAt: addSecs(now, 600),
  };
  switch (kind) {
    case "DispatchAck":
      return {
        kind,
        ...answer,
        previous: null,
        currentClosureAtDispatch: seen.runningClosure,
        rollbackTarget: named("rollback", seen.runningClosure),
        ackedAt: now,
      };
    case "DispatchReject":
      return {
        kind,
        ...answer,
        reason: options.get("reason") ?? "held",
        retryable: options.get("retryable") !== "no",
        rejectedAt: now,
      };
    case "ActivationStarted":
      return { kind, startedAt: now, switchMethod: "switch" };
    case "ActivationCompleted":
      return { kind, observedCurrentClosure: running, exitCode, completedAt: now };
    case "ActivationDeferred":
      return {
        kind,
        component: options.get("component") ?? "kernel",
        bootId: seen.bootId,
        deferredAt: now,
      };
    case "ActivationFailed":
      return {
        kind,
        phase: "switch",
        untouched: options.get("untouched") === "yes",
        exitCode,
        stderrTail: "",
        failedAt: now,
      };
    case "ProbeTopologyDeclared":
      return {
        kind,
        probes: probesOf(options.get("probes") ?? ""),
        bootId: seen.bootId,
        declaredAt: now,
      };
    case "ProbeObservedFirst":
      return { kind, probeName: probe(), mode, observedAt: now };
    case "ProbeResult":
      return {
        kind,
        probeName: probe(),
        mode,
        status: options.get("status") === "fail" ? "fail" : "pass",
        observedAt: now,
        failureReason: options.get("reason") ?? null,
        subResults: null,
      };
    case "ProbeFailureFirst":
      return { kind, probeName: probe(), mode, firstFailedAt: now };
    case "Failed":
      return {
        kind,
        failedAt: now,
        sustainedDurationSecs: 0,
        failingProbes: [probe()],
        policyApplied: options.get("policy") === "halt" ? "halt" : "rollback-and-halt",
      };
    case "RollbackStarted":
      return { kind, startedAt: now };
    case "RollbackComplete":
      return { kind, revertedToClosure: running, exitCode, completedAt: now };
    case "RollbackFailed":
      return { kind, exitCode, stderrTail: "", failedAt: now };
    case "Converged":
      return { kind, convergedAt: now, currentClosure: running };
    default:
      throw new Error(`"${kind}" is not an event`);
  }
}

/** `http,disk:observe` beside the built-in system-stable; an interval of 10 s each. */
function probesOf(text: string): readonly DeclaredProbe[] {
  const stable: DeclaredProbe = {
    probeName: SYSTEM_STABLE,
    kind: "system-stable",
    mode: "enforce",
    intervalSecs: 10,
  };
  const named = text.split(",").filter((word) => word !== "");
  return [
    stable,
    ...named.map((word) => {
      const [name = "", mode] = word.split(":");
      return { probeName: probeName(name), kind: "http", mode: modeOf(mode), intervalSecs: 10 };
    }),
  ];
}

function attemptOf(text: string | undefined): Attempt {
  const attempt = Number(text ?? 1);
  if (!isAttempt(attempt)) throw new Error(`"${text}" is not an attempt`);
  return attempt;
}

const modeOf = (text: string | undefined): ProbeMode =>
  text === "observe" || text === "disabled" ? text : "enforce";

/** What is worth a word beside the event's kind. */
export function eventWords(event: OutboundAgentEvent): string {
  switch (event.kind) {
    case "ProbeResult":
      return ` ${event.probeName} ${event.status}`;
    case "DispatchReject":
      return ` "${event.reason}"`;
    case "ActivationFailed":
      return ` in ${event.phase}${event.untouched ? ", untouched" : ""}`;
    case "Failed":
      return ` after ${event.sustainedDurationSecs} s`;
    case "RollbackComplete":
      return ` to ${closureName(event.revertedToClosure)}`;
    case "DispatchAck":
      return ` attempt ${event.attempt}`;
    case "ActivationStarted":
    case "ActivationCompleted":
    case "ActivationDeferred":
    case "ProbeTopologyDeclared":
    case "ProbeObservedFirst":
    case "ProbeFailureFirst":
    case "RollbackStarted":
    case "RollbackFailed":
    case "Converged":
      return "";
  }
}
