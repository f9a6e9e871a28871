import type { HostRollout, RolloutId } from "@nixwave/effects";
import type { ActivationWorker } from "../perform/worker.ts";
import { recordRef, sameRecord } from "./recordRef.ts";
import { runRollback } from "./rollbackTask.ts";
import { runSwitch } from "./switchTask.ts";
import { type ActivationParts, backOff, current, report, type Task, tried, watch } from "./task.ts";
import { unitName, unitOf } from "./unit.ts";

interface Running {
  readonly task: Task;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/**
 * One task at a time. A task for another record, or a rollback after a switch, takes the place of the one that runs, and
 * begins when that one has ended: two of them must never fire side by side.
 */
export function activationWorker(outer: ActivationParts): ActivationWorker {
  const closing = new AbortController();
  const parts = withDeath(outer, closing);
  const inHand = new Set<Promise<void>>();
  const stopping = new Set<string>();
  let running: Running | null = null;

  const spawn = (work: () => Promise<void>): Promise<void> => {
    const done = work().catch((cause: unknown) => {
      if (!closing.signal.aborted) parts.onTrouble("the activation worker gave up a task", cause);
    });
    inHand.add(done);
    void done.then(() => inHand.delete(done));
    return done;
  };

  const begin = (record: HostRollout, purpose: Task["purpose"]): void => {
    if (closing.signal.aborted) return;
    const of = recordRef(record);
    const former = running;
    if (former !== null && sameRecord(former.task.of, of) && former.task.purpose === purpose) {
      former.task.again = former.task.stage === "reporting";
      return;
    }
    former?.abort.abort();
    const abort = new AbortController();
    const { signal } = abort;
    const task: Task = { of, purpose, signal, stage: "preparing", again: false, obstacle: "" };
    const done = spawn(async () => {
      await former?.done;
      await runTask(parts, task);
    });
    const mine: Running = { task, abort, done };
    running = mine;
    void done.then(() => {
      if (running === mine) running = null;
    });
  };

  const beginFor = (rolloutId: RolloutId, purpose: "switch" | "rollback"): void => {
    const record = parts.readRecord(rolloutId);
    if (record?.kind === (purpose === "switch" ? "Activating" : "Failed")) begin(record, purpose);
  };

  const isFiring = (record: HostRollout): boolean =>
    running !== null &&
    running.task.stage === "firing" &&
    sameRecord(running.task.of, recordRef(record));

  /** A record whose unit is just being fired is not asked: "no unit" would be half the truth. Its task reports at its end. */
  const observe = async (rolloutId: RolloutId): Promise<void> => {
    for (let failures = 0; !closing.signal.aborted; failures += 1) {
      const record = parts.readRecord(rolloutId);
      if (record === null || isFiring(record)) return;
      const obstacle = running?.task.of.rolloutId === rolloutId ? running.task.obstacle : "";
      const seen = await tried(() => report(parts, record, obstacle));
      if (seen.ok) {
        if (seen.value.unit.kind === "running" && running === null) begin(record, "watch");
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
      if (running !== null && sameRecord(running.task.of, recordRef(record))) {
        running.abort.abort();
        await running.done;
      }
      const unit = unitOf(record);
      const stopped = unit === null || (await parts.activation.stop(unit));
      if (unit !== null && !stopped) parts.onTrouble("it does not end", unitName(unit));
    } finally {
      stopping.delete(rolloutId);
    }
    await observe(rolloutId);
  };

  return {
    fireSwitch: (rolloutId) => beginFor(rolloutId, "switch"),
    fireRollback: (rolloutId) => beginFor(rolloutId, "rollback"),
    observe: (rolloutId) => void spawn(() => observe(rolloutId)),
    stopUnit: (rolloutId) => void spawn(() => stopUnit(rolloutId)),
    // A rollback is not called off by leaving Activating: that is how it comes about.
    cancel: () => {
      if (running?.task.purpose !== "rollback") running?.abort.abort();
    },
    close: async () => {
      closing.abort();
      running?.abort.abort();
      await Promise.all(inHand);
    },
  };
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
      closing.abort();
      throw cause;
    }
  };
  return { ...parts, crash: { at } };
}
