import type { Journal } from "@nixwave/agent";
import { type HostRollout, type Release, type RolloutId, RUNNING_CLOSURE } from "@nixwave/effects";
import type { SimHost } from "./agentProcess.ts";

/** A soak and a failing probe's time begin a moment before what says so is committed. */
const TOLERANCE_MS = 1000;

/**
 * I3 in the world's own time: an agent's `now` may itself be what is wrong. Kept per process of an agent, which is who has its
 * journal open: one that starts may take its wall clock's word for how long it was away.
 */
export class Soaks {
  readonly #began = new WeakMap<Journal, Map<RolloutId, number>>();

  /** A record of the host has moved; null, or what happened to a soak of it before its time. */
  moved(
    { journal, name }: SimHost,
    releases: ReadonlyMap<RolloutId, Release>,
    nowMs: number,
  ): string | null {
    if (journal === null) return null;
    const began = this.#began.get(journal) ?? new Map<RolloutId, number>();
    this.#began.set(journal, began);
    let early: string | null = null;
    for (const record of journal.all()) {
      if (record.kind === "opaque") continue;
      const { rolloutId } = record;
      const since = began.get(rolloutId);
      if (record.kind === "Soaking") {
        if (since === undefined) began.set(rolloutId, nowMs);
        continue;
      }
      if (since === undefined) continue;
      began.delete(rolloutId);
      const release = releases.get(rolloutId);
      const leastMs = release === undefined ? 0 : leastSecs(record, release) * 1000;
      const tookMs = nowMs - since;
      if (tookMs + TOLERANCE_MS < leastMs)
        early = `${name} is ${record.kind} after ${tookMs / 1000} s of ${leastMs / 1000} s`;
    }
    return early;
  }
}

/** How long at least a soak that became this record has lasted, as it was signed. */
function leastSecs(record: HostRollout, { hosts, waves, policy }: Release): number {
  if (record.kind === "Converged") {
    const wave = hosts.find(({ host }) => host === record.host)?.wave;
    return waves.find(({ index }) => index === wave)?.soakSecs ?? 0;
  }
  // That something else runs is seen at once.
  const isHealth =
    record.kind === "Failed" && record.failingProbes.some((probe) => probe !== RUNNING_CLOSURE);
  return isHealth ? policy.healthFailureThresholdSecs : 0;
}
