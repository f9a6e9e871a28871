import {
  type Attempt,
  addSecs,
  type ByKind,
  type ClosureHash,
  type DeclaredProbe,
  type EventKind,
  type Instant,
  isAttempt,
  type OutboundAgentEvent,
  type ProbeMode,
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
type MakeEvent<K extends EventKind> = (
  options: Options,
  world: World,
) => ByKind<OutboundAgentEvent>[K];

/** An event from the words of a transcript: `event stable@a1 ProbeResult probe=http status=fail`. */
export function eventOf(kind: string, options: Options, world: World): OutboundAgentEvent {
  const make = Object.entries(EVENTS).find(([name]) => name === kind)?.[1];
  if (make === undefined) throw new Error(`"${kind}" is not an event`);
  return make(options, world);
}

const EVENTS: { readonly [K in EventKind]: MakeEvent<K> } = {
  DispatchAck: (options, world) => ({
    kind: "DispatchAck",
    ...answerTo(options, world),
    previous: null,
    currentClosureAtDispatch: world.seen.runningClosure,
    rollbackTarget: named(options.get("rollback"), world.seen.runningClosure),
    ackedAt: world.now,
  }),
  DispatchReject: (options, world) => ({
    kind: "DispatchReject",
    ...answerTo(options, world),
    code: null,
    reason: options.get("reason") ?? "held",
    retryable: options.get("retryable") !== "no",
    rejectedAt: world.now,
  }),
  ActivationStarted: (_, { now: startedAt }) => ({
    kind: "ActivationStarted",
    startedAt,
    switchMethod: "switch",
  }),
  ActivationCompleted: (options, world) => ({
    kind: "ActivationCompleted",
    observedCurrentClosure: running(options, world),
    exitCode: exitOf(options),
    completedAt: world.now,
  }),
  ActivationDeferred: (options, { now: deferredAt, seen: { bootId } }) => ({
    kind: "ActivationDeferred",
    component: options.get("component") ?? "kernel",
    bootId,
    deferredAt,
  }),
  ActivationFailed: (options, { now: failedAt }) => ({
    kind: "ActivationFailed",
    phase: "switch",
    untouched: options.get("untouched") === "yes",
    exitCode: exitOf(options),
    stderrTail: "",
    failedAt,
  }),
  ProbeTopologyDeclared: (options, { now: declaredAt, seen: { bootId } }) => ({
    kind: "ProbeTopologyDeclared",
    probes: probesOf(options.get("probes") ?? ""),
    bootId,
    declaredAt,
  }),
  ProbeObservedFirst: (options, { now: observedAt }) => ({
    kind: "ProbeObservedFirst",
    ...probeOf(options),
    observedAt,
  }),
  ProbeResult: (options, { now: observedAt }) => ({
    kind: "ProbeResult",
    ...probeOf(options),
    status: options.get("status") === "fail" ? "fail" : "pass",
    observedAt,
    failureReason: options.get("reason") ?? null,
    subResults: null,
  }),
  ProbeFailureFirst: (options, { now: firstFailedAt }) => ({
    kind: "ProbeFailureFirst",
    ...probeOf(options),
    firstFailedAt,
  }),
  Failed: (options, { now: failedAt }) => ({
    kind: "Failed",
    failedAt,
    sustainedDurationSecs: 0,
    failingProbes: [probeOf(options).probeName],
    policyApplied: options.get("policy") === "halt" ? "halt" : "rollback-and-halt",
  }),
  RollbackStarted: (_, { now: startedAt }) => ({ kind: "RollbackStarted", startedAt }),
  RollbackComplete: (options, world) => ({
    kind: "RollbackComplete",
    revertedToClosure: running(options, world),
    exitCode: exitOf(options),
    completedAt: world.now,
  }),
  RollbackFailed: (options, { now: failedAt }) => ({
    kind: "RollbackFailed",
    exitCode: exitOf(options),
    stderrTail: "",
    failedAt,
  }),
  Converged: (options, world) => ({
    kind: "Converged",
    convergedAt: world.now,
    currentClosure: running(options, world),
  }),
};

const answerTo = (options: Options, { now }: World) => ({
  attempt: attemptOf(options.get("attempt")),
  dispatchedAt: now,
  soakDueAt: addSecs(now, 600),
});

const probeOf = (options: Options) => ({
  probeName: probeName(options.get("probe") ?? "http"),
  mode: modeOf(options.get("mode")),
});

const exitOf = (options: Options): number => Number(options.get("exit") ?? 0);

const running = (options: Options, { seen }: World): ClosureHash =>
  named(options.get("observed"), seen.runningClosure) ?? closure("none");

function named(name: string | undefined, otherwise: ClosureHash | null): ClosureHash | null {
  if (name === undefined) return otherwise;
  return name === "none" ? null : closure(name);
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

export function attemptOf(text: string | undefined): Attempt {
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
