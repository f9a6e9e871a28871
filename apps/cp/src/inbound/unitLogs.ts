import type { Attempt, HostName, Instant, RolloutId } from "@nixwave/effects";

/** The last output of a host's switch or rollback unit. */
export interface UnitLog {
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly attempt: Attempt;
  readonly purpose: "switch" | "rollback";
  readonly receivedAt: Instant;
  readonly text: string;
}

/** Two per host for a few hundred hosts; a log has at most 64 KiB, so this is at most 32 MiB. */
const LOGS_MAX = 512;
const LOGS_OF_HOST_MAX = 2;

/**
 * In memory, on purpose: what a person reads while something goes wrong, of which the host itself keeps the original.
 * The oldest are dropped, and a restart drops all.
 */
export class UnitLogs {
  readonly #logs = new Map<HostName, readonly UnitLog[]>();
  #count = 0;

  put(log: UnitLog): void {
    const former = this.#logs.get(log.host) ?? [];
    const kept = [...former, log].slice(-LOGS_OF_HOST_MAX);
    // Set anew, so that the map's order is that of the last log: the first host is the one to drop.
    this.#logs.delete(log.host);
    this.#logs.set(log.host, kept);
    this.#count += kept.length - former.length;
    for (const [host, logs] of this.#logs) {
      if (this.#count <= LOGS_MAX) return;
      this.#logs.delete(host);
      this.#count -= logs.length;
    }
  }

  /** The newest of the host, in that rollout if one is named. */
  newest(host: HostName, rolloutId: RolloutId | undefined): UnitLog | null {
    const logs = this.#logs.get(host) ?? [];
    return logs.findLast((log) => rolloutId === undefined || log.rolloutId === rolloutId) ?? null;
  }
}
