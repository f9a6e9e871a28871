import type { RolloutId } from "@nixwave/effects";
import type { ActivationWorker } from "../perform/worker.ts";
import { CALLED_OFF } from "../ports.ts";
import { runRollback } from "./rollbackTask.ts";
import { TaskSlot } from "./slot.ts";
import { runSwitch } from "./switchTask.ts";
import { type ActivationParts, backOff, current, report, type Task, tried, watch } from "./task.ts";
import { unitName, unitOf } from "./unit.ts";

/** The one worker that changes the system: tasks in a slot, and eyes on the machine beside it. */
export function activationWorker(outer: ActivationParts): ActivationWorker {
  const closing = new AbortController();
  const parts = withDeath(outer, closing);
  const stopping = new Set<string>();
  const slot = new TaskSlot(
    (task) => runTask(parts, task),
    (cause) => parts.onTrouble("the activation worker gave up a task", cause),
  );
  closing.signal.addEventListener("abort", () => slot.callOff());

  const beginFor = (rolloutId: RolloutId, purpose: "switch" | "rollback"): void => {
    const record = parts.readRecord(rolloutId);
    if (closing.signal.aborted || record === null) return;
    if (record.kind === (purpose === "switch" ? "Activating" : "Failed")) {
      slot.begin(record, purpose);
    }
  };

  /** A record whose unit is just being fired is not asked: "no unit" would be half the truth. Its task reports at its end. */
  const observe = async (rolloutId: RolloutId): Promise<void> => {
    for (let failures = 0; !closing.signal.aborted; failures += 1) {
      const record = parts.readRecord(rolloutId);
      if (record === null) return;
      const task = slot.taskOf(record);
      if (task?.stage === "firing") return;
      const seen = await tried(() => report(parts, record, task?.obstacle ?? ""));
      if (seen.ok) {
        const isUnwatched = seen.value.unit.kind === "running" && slot.task === null;
        if (isUnwatched && !closing.signal.aborted) slot.begin(record, "watch");
        return;
      }
      parts.onTrouble("the machine can't be read", seen.error);
      await backOff(parts, failures, closing.signal);
    }
  };

  /** The task that may still fire or watch ends first, so that nothing new begins under the one who stops. */
  const stopUnit = async (rolloutId: RolloutId): Promise<void> => {
    const record = parts.readRecord(rolloutId);
    if (record === null || stopping.has(rolloutId)) return;
    stopping.add(rolloutId);
    try {
      await slot.end(record);
      const unit = unitOf(record);
      const stopped = unit === null || (await parts.activation.stop(unit, closing.signal));
      if (unit !== null && !stopped) parts.onTrouble("it does not end", unitName(unit));
    } finally {
      stopping.delete(rolloutId);
    }
    await observe(rolloutId);
  };

  return {
    fireSwitch: (rolloutId) => beginFor(rolloutId, "switch"),
    fireRollback: (rolloutId) => beginFor(rolloutId, "rollback"),
    observe: (rolloutId) => void slot.spawn(() => observe(rolloutId)),
    stopUnit: (rolloutId) => void slot.spawn(() => stopUnit(rolloutId)),
    waitsFor: () => refusalOf(parts, slot.task),
    // A rollback is not called off by leaving Activating: that is how it comes about.
    cancel: () => {
      if (slot.task?.purpose !== "rollback") slot.callOff();
    },
    close: async () => {
      closing.abort(CALLED_OFF);
      await slot.close();
    },
  };
}

function refusalOf({ redact }: ActivationParts, task: Task | null): string | null {
  const refusal = task?.stage === "preparing" ? task.refusal : null;
  return refusal === null ? null : redact(refusal);
}

/** Rounds until nothing more came back; trouble in one (a full disk while looking) is waited out, not given up. */
async function runTask(parts: ActivationParts, task: Task): Promise<void> {
  for (let rounds = 0; !task.signal.aborted; rounds += 1) {
    task.again = false;
    task.stage = "preparing";
    const done = await tried(() => round(parts, task));
    if (done.ok && !task.again) return;
    if (!done.ok) parts.onTrouble("the activation is tried again", done.error);
    // The first round that follows a report stages what the unit asked for, and must not wait.
    if (!done.ok || rounds > 0) await backOff(parts, rounds, task.signal);
  }
}

async function round(parts: ActivationParts, task: Task): Promise<void> {
  switch (task.purpose) {
    case "switch":
      return await runSwitch(parts, task);
    case "rollback":
      return await runRollback(parts, task);
    case "watch": {
      const record = current(parts, task);
      const unit = record === null ? null : unitOf(record);
      return unit === null ? undefined : await watch(parts, task, unit);
    }
  }
}

/** A crash point that throws stands for the death of this process: nothing of the worker may go on behind it. */
function withDeath(parts: ActivationParts, closing: AbortController): ActivationParts {
  const at: ActivationParts["crash"]["at"] = (point) => {
    try {
      parts.crash.at(point);
    } catch (cause) {
      closing.abort(CALLED_OFF);
      throw cause;
    }
  };
  return { ...parts, crash: { at } };
}
