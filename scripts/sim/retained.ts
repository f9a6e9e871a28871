import type { Batch } from "@nixwave/cp";
import {
  type Fleet,
  type HostName,
  type HostRollout,
  isSettled,
  type Rollout,
  type RolloutId,
} from "@nixwave/effects";
import type { World } from "./world.ts";

/** What left the log of a world, and its rows. */
export interface RetainedCounts {
  readonly checkpoints: number;
  /** So often the log's beginning went, and is in an archive. */
  readonly archived: number;
  readonly pruned: number;
}

export const NOTHING_RETAINED: RetainedCounts = { checkpoints: 0, archived: 0, pruned: 0 };

/** Less than any policy's `lostSecs`: whoever was heard within it is not lost. */
const HEARD_SECS = 100;

/** Counts what retention takes away, and holds that no rollout goes too soon. */
export class Retained {
  readonly #world: World;
  /** The newest records of rollouts that are not pruned. */
  readonly #records = new Map<RolloutId, Map<HostName, HostRollout>>();
  #checkpoints = 0;
  #archived = 0;
  #pruned = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get counts(): RetainedCounts {
    return { checkpoints: this.#checkpoints, archived: this.#archived, pruned: this.#pruned };
  }

  /** Another database is in place. */
  forget(): void {
    this.#records.clear();
  }

  committed({ checkpoint, dropBefore, changes }: Batch): void {
    if (checkpoint !== null) this.#checkpoints += 1;
    if (dropBefore !== null) {
      this.#archived += 1;
      this.#world.say("cp", `has its log before ${dropBefore} in an archive`);
    }
    for (const { change } of changes) {
      if (change.kind === "RecordChanged") this.#record(change.record);
      if (change.kind === "RolloutChanged" && change.rollout.kind === "Pruned")
        this.#prune(change.rollout);
    }
  }

  #record(record: HostRollout): void {
    const { rolloutId, host } = record;
    const of = this.#records.get(rolloutId) ?? new Map<HostName, HostRollout>();
    this.#records.set(rolloutId, of.set(host, record));
  }

  #prune(rollout: Rollout): void {
    const { fleet } = this.#world.cp;
    this.#pruned += 1;
    const broken = fleet === null ? null : this.#prunedTooSoon(fleet, rollout);
    this.#records.delete(rollout.rolloutId);
    if (broken !== null) this.#world.fail("I8", broken);
  }

  /** Hazard 36: a plan that forgets what is under way, or what a channel runs, counts and dispatches without it. */
  #prunedTooSoon(fleet: Fleet, { rolloutId, channel }: Rollout): string | null {
    const rollouts = fleet.rolloutsOf(channel);
    if (rollouts.slice(-2).some((each) => each.rolloutId === rolloutId))
      return `${rolloutId} is pruned, and is one of the newest two of ${channel}`;
    const since = this.#world.cp.now - HEARD_SECS * 1000;
    for (const { host, kind } of this.#underWay(rolloutId))
      if ((fleet.host(host)?.reportAt ?? 0) > since && !this.#world.revoked.has(host))
        return `${rolloutId} is pruned while ${host} is ${kind} in it`;
    return null;
  }

  #underWay(rolloutId: RolloutId): readonly HostRollout[] {
    return [...(this.#records.get(rolloutId)?.values() ?? [])].filter(
      (record) => record.supersededBy === null && record.kind !== "Pending" && !isSettled(record),
    );
  }
}

/** "host rollout journal": of a pruned rollout only its own row is left, and no stream. */
export const isPruned = (fleet: Fleet, stream: string): boolean =>
  fleet
    .channels()
    .flatMap((channel) => fleet.rolloutsOf(channel))
    .some(({ kind, rolloutId }) => kind === "Pruned" && stream.includes(` ${rolloutId} `));
