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

/** Where they outlive the process. Never throws: what it can't do it says itself. */
export interface UnitLogShelf {
  load(): readonly UnitLog[];
  keep(host: HostName, logs: readonly UnitLog[]): void;
  drop(host: HostName): void;
}

/** Two per host for a few hundred hosts; a log has at most 64 KiB, so this is at most 32 MiB. */
const LOGS_MAX = 512;
const LOGS_OF_HOST_MAX = 2;

/**
 * What a person reads while something goes wrong, of which the host itself keeps the original: in memory, and on the shelf for after a
 * restart. The oldest are dropped from both.
 */
export class UnitLogs {
  readonly #logs = new Map<HostName, readonly UnitLog[]>();
  readonly #shelf: UnitLogShelf | null;
  #count = 0;

  /** Null where nothing is to outlive the process. */
  constructor(shelf: UnitLogShelf | null) {
    this.#shelf = shelf;
    const kept = shelf?.load() ?? [];
    for (const log of kept.toSorted((a, b) => a.receivedAt - b.receivedAt)) this.#add(log);
  }

  put(log: UnitLog): void {
    const kept = this.#add(log);
    this.#shelf?.keep(log.host, kept);
  }

  #add(log: UnitLog): readonly UnitLog[] {
    const former = this.#logs.get(log.host) ?? [];
    // It is asked for with several heartbeats: what came again must not push out the other unit's.
    const others = former.filter((each) => !isSameRun(each, log));
    const kept = [...others, log].slice(-LOGS_OF_HOST_MAX);
    // Set anew, so that the map's order is that of the last log: the first host is the one to drop.
    this.#logs.delete(log.host);
    this.#logs.set(log.host, kept);
    this.#count += kept.length - former.length;
    for (const [host, logs] of this.#logs) {
      if (this.#count <= LOGS_MAX) break;
      this.#logs.delete(host);
      this.#count -= logs.length;
      this.#shelf?.drop(host);
    }
    return kept;
  }

  /** The newest of the host, in that rollout if one is named. */
  newest(host: HostName, rolloutId: RolloutId | undefined): UnitLog | null {
    const logs = this.#logs.get(host) ?? [];
    return logs.findLast((log) => rolloutId === undefined || log.rolloutId === rolloutId) ?? null;
  }
}

const isSameRun = (one: UnitLog, other: UnitLog): boolean =>
  one.rolloutId === other.rolloutId &&
  one.attempt === other.attempt &&
  one.purpose === other.purpose;
