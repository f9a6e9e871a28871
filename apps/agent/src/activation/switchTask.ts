import {
  type ActivationPhase,
  type ClosureHash,
  ok,
  type Result,
  type SwitchMethod,
} from "@nixwave/effects";
import { deferredComponent, stderrTail } from "./output.ts";
import { isBusy } from "./seen.ts";
import {
  type ActivationParts,
  backOff,
  currentActivating,
  reportUntilRead,
  type Task,
  tried,
  watch,
} from "./task.ts";
import { type SystemClosures, unitOf } from "./unit.ts";

/** What preparing came to; null: called off, or said already why it can't be. */
type Prepared = Ready | null;

/** `boot`: a component can't be swapped live, so the closure becomes the next boot and nothing is fired. */
type Ready =
  | { readonly kind: "fire" }
  | { readonly kind: "boot"; readonly component: string }
  | { readonly kind: "nothing-to-switch" };

/** What a switch or a rollback ends with that only a boot can do. */
export const NEEDS_REBOOT = 100;

/**
 * LocalFireSwitch, from whatever point a former run of it reached: a unit that runs is watched, one that asked for a
 * reboot is staged, one that ended otherwise is reported, and only where there is none something is fired.
 */
export async function runSwitch(parts: ActivationParts, task: Task): Promise<void> {
  const record = currentActivating(parts, task);
  if (record === null) return;
  const unit = unitOf(record);
  if (unit !== null) {
    const seen = await parts.activation.unit(unit);
    const { running } = await parts.activation.system();
    if (seen.kind === "running") return await watch(parts, task, unit);
    if (seen.kind === "exited" && seen.code === NEEDS_REBOOT && running !== record.targetClosure) {
      const named = async () => deferredComponent(await parts.activation.output(unit));
      return await stage(parts, task, named);
    }
    if (seen.kind === "exited" || seen.kind === "killed") return await reportUntilRead(parts, task);
  }
  const prepared = await prepare(parts, task);
  if (prepared === null) return;
  switch (prepared.kind) {
    case "fire":
      return await fire(parts, task);
    case "boot":
      return await boot(parts, task, prepared.component);
    case "nothing-to-switch":
      await begin(parts, task, "none");
      return await reportUntilRead(parts, task);
  }
}

/**
 * Tried again until it succeeds, is refused for good, or the loop calls the task off at realiseTimeoutSecs. Nothing here
 * changes what runs, so that a record that fails here is untouched.
 */
async function prepare(parts: ActivationParts, task: Task): Promise<Prepared> {
  task.stage = "preparing";
  for (let failures = 0; ; failures += 1) {
    const record = currentActivating(parts, task);
    if (record === null) return null;
    const { targetClosure, rollbackTarget, starts, terms } = record;
    const { closureDigest: digest } = terms;
    const closures = { targetClosure, digest, rollbackTarget, isFirst: starts === 0 };
    const realiseSecs = terms.policy.realiseTimeoutSecs;
    const step = await tried(() => prepareOnce(parts, task, { ...closures, realiseSecs }));
    if (currentActivating(parts, task) === null) return null;
    const outcome: Step = step.ok ? step.value : { kind: "wait", obstacle: step.error };
    if (outcome.kind === "broke") return null;
    if (outcome.kind !== "wait") return outcome;
    const isFirst = task.refusal === null;
    task.obstacle = outcome.obstacle;
    task.refusal = outcome.obstacle;
    if (isFirst) parts.onRefused();
    parts.onTrouble("the switch has to wait", outcome.obstacle);
    await backOff(parts, failures, task.signal);
  }
}

type Step =
  | Ready
  | { readonly kind: "broke" }
  | { readonly kind: "wait"; readonly obstacle: string };

interface Preparing {
  readonly targetClosure: ClosureHash;
  readonly digest: string | null;
  readonly rollbackTarget: ClosureHash | null;
  /** No start of this attempt has been committed. */
  readonly isFirst: boolean;
  readonly realiseSecs: number;
}

/** Read only if the time for it ends while caches are asked or send: they have refused nothing, and that must not be silence. */
function tooSlow(path: string, realiseSecs: number, before: string | null): string {
  const slow = `slow: the caches have not sent all of ${path} within realiseTimeoutSecs (${realiseSecs} s)`;
  return before === null ? slow : `${slow}; before that: ${before}`;
}

/**
 * What runs is there to be kept, and where it can't be, the switch waits. A way back to anything else may be long gone: the
 * caches are asked for it, and then it must not hold up the release that may be this host's cure (docs/decisions/0030).
 */
async function keepWayBack(
  { activation, onTrouble }: ActivationParts,
  { signal }: Task,
  on: { readonly rollbackTarget: ClosureHash; readonly running: ClosureHash | null },
): Promise<Result<null, string>> {
  const { rollbackTarget: closure, running } = on;
  const pinned = await tried(() => activation.pin("rollback", closure));
  if (pinned.ok) return ok(null);
  if (closure === running) return pinned;
  const had = await tried(() => activation.realise({ closure, digest: null }, signal));
  if (had.ok && had.value.ok)
    return await tried(async () => {
      await activation.pin("rollback", closure);
      return null;
    });
  const why = had.ok && !had.value.ok ? had.value.error.message : pinned.error;
  onTrouble("the closure to roll back to is gone", why);
  return ok(null);
}

async function prepareOnce(
  parts: ActivationParts,
  task: Task,
  { targetClosure, digest, rollbackTarget, isFirst, realiseSecs }: Preparing,
): Promise<Step> {
  const { activation } = parts;
  // Busy is waited for and is no failure (hazard 56): the unit of an older record may still be ending.
  if (await isBusy(activation)) {
    return { kind: "wait", obstacle: "another switch or rollback of this host still runs" };
  }
  const system = await activation.system();
  if (isAllOn(system, targetClosure)) {
    await activation.pin("target", targetClosure);
    return { kind: "nothing-to-switch" };
  }
  // An older rollout staged something for the next boot: until this one has shown its health, a reboot must find what runs.
  if (isFirst && system.running !== null && system.boot !== system.running) {
    const restored = await activation.stageBoot(system.running, task.signal);
    if (!restored.ok) return { kind: "wait", obstacle: restored.error.stderrTail };
  }
  task.obstacle = tooSlow(activation.closurePath(targetClosure), realiseSecs, task.refusal);
  const room = await activation.preflight(targetClosure);
  if (!room.ok) return { kind: "wait", obstacle: room.error.message };
  const wanted = { closure: targetClosure, digest };
  const realised = await activation.realise(wanted, task.signal);
  if (task.signal.aborted) return { kind: "wait", obstacle: "called off" };
  if (!realised.ok) {
    if (!realised.error.final) return { kind: "wait", obstacle: realised.error.message };
    await broke(parts, task, { phase: "realise", exitCode: null, text: realised.error.message });
    return { kind: "broke" };
  }
  task.refusal = null;
  task.obstacle = `${activation.closurePath(targetClosure)} is here, and is still being pinned and checked`;
  await activation.pin("target", targetClosure);
  if (rollbackTarget !== null) {
    const kept = await keepWayBack(parts, task, { rollbackTarget, running: system.running });
    if (!kept.ok) return { kind: "wait", obstacle: kept.error };
  }
  const knownGood = parts.knownGood();
  if (knownGood !== null) {
    // It may be long gone, as on a host whose pins were lost: that must not hold up the release that may be its cure.
    const pinned = await tried(() => activation.pin("known-good", knownGood));
    if (!pinned.ok) parts.onTrouble("the known-good closure can't be kept", pinned.error);
  }

  const checked = await activation.check(targetClosure, task.signal);
  if (task.signal.aborted) return { kind: "wait", obstacle: "called off" };
  if (checked.kind === "refused") {
    const { exitCode, stderrTail: text } = checked;
    await broke(parts, task, { phase: "check", exitCode, text });
    return { kind: "broke" };
  }
  const component = await activation.needsBoot(targetClosure);
  return component === null ? { kind: "fire" } : { kind: "boot", component };
}

/** Commits the start, with what was so before the first one of the attempt. */
async function begin(
  parts: ActivationParts,
  task: Task,
  switchMethod: SwitchMethod,
): Promise<void> {
  const isFirst = currentActivating(parts, task)?.starts === 0;
  const found = isFirst ? await parts.baseline(task.signal) : null;
  await parts.mailbox.submit({ kind: "SwitchStarting", of: task.of, switchMethod, found });
}

/** The start is committed before anything changes; null: it was not taken, or the profile can't be set, and that is said. */
async function started(
  parts: ActivationParts,
  task: Task,
  switchMethod: "switch" | "boot",
): Promise<ClosureHash | null> {
  const { activation, crash } = parts;
  task.stage = "firing";
  const before = currentActivating(parts, task)?.starts;
  await begin(parts, task, switchMethod);
  const record = currentActivating(parts, task);
  if (record === null) return null;
  // Starts are counted: if this one was not taken there is nothing to fire, and what is to be seen decides.
  if (record.starts === before) {
    await reportUntilRead(parts, task);
    return null;
  }
  const target = record.targetClosure;
  crash.at("before-profile");
  const set = await tried(() => activation.setProfile(target));
  if (!set.ok) {
    await broke(parts, task, { phase: "profile", exitCode: null, text: set.error });
    return null;
  }
  crash.at("after-profile");
  return target;
}

/** The record is read once more before the unit is fired. */
async function fire(parts: ActivationParts, task: Task): Promise<void> {
  const { activation, crash } = parts;
  const target = await started(parts, task, "switch");
  if (target === null) return;
  const record = currentActivating(parts, task);
  const unit = record === null ? null : unitOf(record);
  if (record === null || unit === null) return;
  crash.at("before-fire");
  const deadlineSecs = record.terms.policy.activationTimeoutSecs;
  const fired = await tried(() => activation.fire({ unit, closure: target, deadlineSecs }));
  crash.at("after-fire");
  const trouble = fired.ok
    ? fired.value.ok || fired.value.error.kind === "taken"
      ? null
      : fired.value.error.message
    : fired.error;
  // It may have been fired before the trouble came; then its own outcome is the better witness.
  if (trouble !== null && (await activation.unit(unit)).kind === "none") {
    return await broke(parts, task, { phase: "switch", exitCode: null, text: trouble });
  }
  await watch(parts, task, unit);
}

async function boot(parts: ActivationParts, task: Task, component: string): Promise<void> {
  const target = await started(parts, task, "boot");
  if (target !== null) await stage(parts, task, async () => component);
}

/** The target becomes the next boot, and that is verified (hazard 52). */
async function stage(
  parts: ActivationParts,
  task: Task,
  component: () => Promise<string>,
): Promise<void> {
  task.stage = "firing";
  const record = currentActivating(parts, task);
  if (record === null) return;
  const { activation, mailbox } = parts;
  const staged = await tried(() => activation.stageBoot(record.targetClosure, task.signal));
  if (currentActivating(parts, task) === null) return;
  if (!staged.ok) {
    return await broke(parts, task, { phase: "switch", exitCode: null, text: staged.error });
  }
  if (!staged.value.ok) {
    const { exitCode, stderrTail: text } = staged.value.error;
    return await broke(parts, task, { phase: "switch", exitCode, text });
  }
  const bootId = await activation.bootId();
  await mailbox.submit({ kind: "BootStaged", of: task.of, component: await component(), bootId });
}

interface Breakage {
  readonly phase: ActivationPhase;
  readonly exitCode: number | null;
  readonly text: string;
}

async function broke(parts: ActivationParts, task: Task, breakage: Breakage): Promise<void> {
  const record = currentActivating(parts, task);
  if (record === null) return;
  const { phase, exitCode, text } = breakage;
  const system = await tried(() => parts.activation.system());
  const { rollbackTarget } = record;
  // What can't be read is not known to be untouched.
  const untouched = system.ok && rollbackTarget !== null && isAllOn(system.value, rollbackTarget);
  task.stage = "reporting";
  await parts.mailbox.submit({
    kind: "SwitchBroke",
    of: task.of,
    phase,
    untouched,
    exitCode,
    stderrTail: stderrTail(parts.redact(text)),
  });
}

export const isAllOn = (
  { running, profile, boot }: SystemClosures,
  closure: ClosureHash,
): boolean => running === closure && profile === closure && boot === closure;
