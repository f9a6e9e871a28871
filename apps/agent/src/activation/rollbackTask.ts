import { stderrTail } from "./output.ts";
import { isAllOn, NEEDS_REBOOT } from "./switchTask.ts";
import {
  type ActivationParts,
  currentFailed,
  type OwesRollback,
  reportUntilRead,
  type Task,
  tried,
  watch,
} from "./task.ts";
import { unitOf } from "./unit.ts";

/**
 * LocalFireRollbackTo, from whatever point a former run of it reached. It goes to exactly the record's rollback target,
 * never to "the previous generation" (hazard 49), and needs no network and no control plane.
 */
export async function runRollback(parts: ActivationParts, task: Task): Promise<void> {
  const { activation, mailbox } = parts;
  const owed = currentFailed(parts, task);
  if (owed === null) return;
  if (await isToldByItsUnit(parts, task, owed)) return;
  const units = await activation.units();
  const isQuiet = units.every(({ running }) => !running);
  if (isQuiet && isAllOn(await activation.system(), owed.rollbackTarget)) {
    return await reportUntilRead(parts, task);
  }
  task.stage = "firing";
  await mailbox.submit({ kind: "RollbackStarting", of: task.of });
  const started = currentFailed(parts, task);
  if (started === null) return;
  // Tries are counted: if this one was not taken there is nothing to fire, and what is to be seen decides.
  if (started.rollbackTries === owed.rollbackTries) return await reportUntilRead(parts, task);
  const trouble = await stopOthers(parts, task.signal);
  if (trouble !== null) return await broke(parts, task, trouble);
  const gone = await haveTarget(parts, task, started);
  if (gone !== null) return await broke(parts, task, gone);
  await fire(parts, task);
}

/** A rollback unit that runs is watched; one that ended and was not yet reported is reported. */
async function isToldByItsUnit(
  parts: ActivationParts,
  task: Task,
  owed: OwesRollback,
): Promise<boolean> {
  const unit = unitOf(owed);
  if (unit === null) return false;
  const seen = await parts.activation.unit(unit);
  if (seen.kind === "running") {
    await watch(parts, task, unit);
    return true;
  }
  const isUnreported = owed.rollback === "owed";
  if (!isUnreported || (seen.kind !== "exited" && seen.kind !== "killed")) return false;
  if (seen.kind === "exited" && seen.code === NEEDS_REBOOT) {
    const trouble = await stage(parts, task, owed);
    if (trouble !== null) {
      await broke(parts, task, trouble, NEEDS_REBOOT);
      return true;
    }
  }
  await reportUntilRead(parts, task);
  return true;
}

/** What can't be undone live is undone by the next boot (docs/decisions/0021): as with a switch, the target becomes the boot default. */
async function stage(
  { activation }: ActivationParts,
  { signal }: Task,
  { rollbackTarget }: OwesRollback,
): Promise<string | null> {
  const { running } = await activation.system();
  if (running === rollbackTarget) return null;
  const staged = await tried(() => activation.stageBoot(rollbackTarget, signal));
  if (!staged.ok) return staged.error;
  return staged.value.ok ? null : staged.value.error.stderrTail;
}

/** A switch that still runs would undo the rollback behind its back; it has to be seen to have ended. */
async function stopOthers(parts: ActivationParts, signal: AbortSignal): Promise<string | null> {
  const stopped = await tried(async () => {
    for (const { unit, running } of await parts.activation.units()) {
      if (running && !(await parts.activation.stop(unit, signal))) return false;
    }
    return true;
  });
  if (!stopped.ok) return `the running switch can't be stopped: ${stopped.error}`;
  return stopped.value ? null : "the running switch did not end within 90 s of being stopped";
}

/** The closure is pinned and therefore there; if it is gone all the same, it is asked for once. */
async function haveTarget(
  parts: ActivationParts,
  task: Task,
  { rollbackTarget }: OwesRollback,
): Promise<string | null> {
  // It ran here and was known good; the digest of the release that brought it is no longer kept.
  const wanted = { closure: rollbackTarget, digest: null };
  const had = await tried(() => parts.activation.realise(wanted, task.signal));
  if (!had.ok) return `target-gone: ${had.error}`;
  return had.value.ok ? null : `target-gone: ${had.value.error.message}`;
}

async function fire(parts: ActivationParts, task: Task): Promise<void> {
  const { activation, crash } = parts;
  const closure = currentFailed(parts, task)?.rollbackTarget;
  if (closure === undefined) return;
  crash.at("before-rollback-profile");
  const set = await tried(() => activation.setProfile(closure));
  if (!set.ok) return await broke(parts, task, `the profile can't be set: ${set.error}`);
  crash.at("after-rollback-profile");
  const record = currentFailed(parts, task);
  const unit = record === null ? null : unitOf(record);
  if (record === null || unit === null) return;
  crash.at("before-rollback-fire");
  const deadlineSecs = record.terms.policy.rollbackTimeoutSecs;
  const fired = await tried(() => activation.fire({ unit, closure, deadlineSecs }));
  crash.at("after-rollback-fire");
  const trouble = fired.ok
    ? fired.value.ok || fired.value.error.kind === "taken"
      ? null
      : fired.value.error.message
    : fired.error;
  if (trouble !== null && (await activation.unit(unit)).kind === "none") {
    return await broke(parts, task, trouble);
  }
  await watch(parts, task, unit);
}

async function broke(
  parts: ActivationParts,
  task: Task,
  text: string,
  exitCode: number | null = null,
): Promise<void> {
  if (currentFailed(parts, task) === null) return;
  task.stage = "reporting";
  await parts.mailbox.submit({
    kind: "RollbackBroke",
    of: task.of,
    exitCode,
    stderrTail: stderrTail(parts.redact(text)),
  });
}
