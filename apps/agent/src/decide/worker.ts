import {
  addSecs,
  type HostRollout,
  type HostState,
  type Instant,
  observe,
  REACHABILITY,
} from "@nixwave/effects";
import { sameRecord } from "../activation/recordRef.ts";
import type { WorkerInput } from "../input.ts";
import type { Change } from "../journal/change.ts";
import { probeReport } from "../probeReport.ts";
import {
  type Decision,
  decided,
  ignored,
  log,
  only,
  type Situation,
  step,
  stepAll,
} from "./decision.ts";

type Of<K extends WorkerInput["kind"]> = Extract<WorkerInput, { kind: K }>;

export function switchStarting(input: Of<"SwitchStarting">, at: Situation): Decision {
  const { switchMethod } = input;
  const event = { kind: "ActivationStarted", startedAt: at.now, switchMethod } as const;
  return inState(input, at, ["Activating"], (record) =>
    decided([step(record, event, at.now)], { changes: baselineOf(input, record, at.now) }),
  );
}

/** The dispatch itself came from the control plane; for so long that counts as its answer. */
const ANSWERED_WITHIN_SECS = 600;
const DISPATCHED = "dispatch";

function baselineOf(
  { of, found }: Of<"SwitchStarting">,
  record: HostRollout,
  now: Instant,
): readonly Change[] {
  if (found === null || record.kind !== "Activating") return [];
  const cameLately = now <= addSecs(record.ackedAt, ANSWERED_WITHIN_SECS);
  const answered = cameLately ? [...found.answered, DISPATCHED] : found.answered;
  return [{ kind: "BaselinePut", baseline: { ...of, ...found, answered, reached: false } }];
}

export function rollbackStarting(input: Of<"RollbackStarting">, at: Situation): Decision {
  const event = { kind: "RollbackStarted", startedAt: at.now } as const;
  return inState(input, at, ["Failed"], (record) => decided([step(record, event, at.now)]));
}

export function switchBroke(input: Of<"SwitchBroke">, at: Situation): Decision {
  const { phase, untouched, exitCode, stderrTail } = input;
  const failedAt = at.now;
  const event = {
    kind: "ActivationFailed",
    phase,
    untouched,
    exitCode,
    stderrTail,
    failedAt,
  } as const;
  return inState(input, at, ["Activating"], (record) => decided([step(record, event, at.now)]));
}

export function bootStaged(input: Of<"BootStaged">, at: Situation): Decision {
  const { component, bootId } = input;
  const event = { kind: "ActivationDeferred", component, bootId, deferredAt: at.now } as const;
  return inState(input, at, ["Activating"], (record) => decided([step(record, event, at.now)]));
}

export function rollbackBroke(input: Of<"RollbackBroke">, at: Situation): Decision {
  const { exitCode, stderrTail } = input;
  const event = { kind: "RollbackFailed", exitCode, stderrTail, failedAt: at.now } as const;
  return inState(input, at, ["Failed"], (record) => decided([step(record, event, at.now)]));
}

/** What the machine said is only worth something for the try that it was read for. */
export function observed(input: Of<"Observed">, at: Situation): Decision {
  return inState(input, at, ["Activating", "Deferred", "Soaking", "Failed"], (record) => {
    if (tryOf(record) !== input.tryNo)
      return ignored(record, "the machine was read for an earlier try", {
        asks: [{ kind: "Observe", rolloutId: record.rolloutId }],
      });
    const { event, effects } = observe(record, input.seen, at.now);
    const owed = effects.length === 0 ? [] : [only(record, ...effects)];
    return event === null
      ? ignored(record, "nothing to report", { steps: owed })
      : decided([step(record, event, at.now), ...owed]);
  });
}

export function topologyDeclared(input: Of<"TopologyDeclared">, at: Situation): Decision {
  const { probes, bootId } = input;
  const event = { kind: "ProbeTopologyDeclared", probes, bootId, declaredAt: at.now } as const;
  return inState(input, at, ["Soaking"], (record) => decided([step(record, event, at.now)]));
}

export function probeReported(input: Of<"ProbeReported">, at: Situation): Decision {
  return inState(input, at, ["Soaking"], (record) => {
    if (record.kind !== "Soaking") return ignored(record, "not soaking");
    const { events, withheld } = probeReport(record, input, at.outboxFull, at.now);
    if (events.length > 0)
      return decided(stepAll(record, events, at.now), { changes: reached(input, at) });
    if (!withheld) return ignored(record, "the same as before");
    return ignored(record, "the outbox is at its cap", { asks: [{ kind: "CountWithheld" }] });
  });
}

function reached({ of, probeName, status }: Of<"ProbeReported">, at: Situation): readonly Change[] {
  const { baseline } = at.facts;
  if (probeName !== REACHABILITY || status !== "pass") return [];
  if (baseline === null || baseline.reached || !sameRecord(baseline, of)) return [];
  return [{ kind: "BaselinePut", baseline: { ...baseline, reached: true } }];
}

/** A report about another try, or from a state that was left since, says nothing any more (hazards 5 and 15). */
function inState(
  input: WorkerInput,
  at: Situation,
  states: readonly HostState[],
  decide: (record: HostRollout) => Decision,
): Decision {
  const { record } = at;
  const { of } = input;
  if (record === null) return stale(input, at, "no such record");
  if (record.journalId !== of.journalId || record.attempt !== of.attempt)
    return stale(input, at, "another attempt");
  if (record.supersededBy !== null) return stale(input, at, `superseded by ${record.supersededBy}`);
  if (!states.includes(record.kind)) return stale(input, at, `the record is ${record.kind}`);
  return decide(record);
}

function stale(input: WorkerInput, at: Situation, reason: string): Decision {
  const line = log("debug", "stale report dropped", [
    ["input", input.kind],
    ["rollout", input.of.rolloutId],
    ["reason", reason],
  ]);
  return ignored(at.record, reason, { steps: [only(at.record, line)] });
}

/** The number of the record's own unit, as `unitOf` in activation/ has it. */
function tryOf(record: HostRollout): number {
  switch (record.kind) {
    case "Activating":
      return record.starts;
    case "Failed":
      return record.rollbackTries;
    case "Pending":
    case "Deferred":
    case "Soaking":
    case "Converged":
    case "Reverted":
      return 0;
  }
}
