import {
  CLEARS,
  type FleetState,
  type Instant,
  pauseAt,
  type Release,
  type Rollout,
  type RolloutId,
} from "@nixwave/effects";
import type { HostRow, RolloutSummary } from "@nixwave/protocol";
import { haltOf } from "./halt.ts";
import { hostRow } from "./hostRow.ts";
import { shortId } from "./short.ts";
import { shownCounts } from "./shownCounts.ts";

/** More than these are read on no screen. */
const NEXT_MAX = 4;

/** A rollout with its release; null where the fleet has forgotten one of them. */
export function rolloutOf(
  fleet: FleetState,
  rolloutId: RolloutId,
): { readonly rollout: Rollout; readonly release: Release } | null {
  const rollout = fleet.rollout(rolloutId);
  const release = fleet.release(rolloutId);
  return rollout === null || release === null ? null : { rollout, release };
}

export const rowsOf = (fleet: FleetState, release: Release, now: Instant): readonly HostRow[] =>
  release.hosts.map(({ host }) => hostRow(fleet, { host, release }, now));

/** What to type next (hazard 96): the halt first, then what the planner itself says would clear what waits. */
function nextOf(
  fleet: FleetState,
  rollout: Rollout,
  { halted, now }: { readonly halted: RolloutSummary["halted"]; readonly now: Instant },
): readonly string[] {
  const id = shortId(rollout);
  if (halted?.cause === "cancelled") return [CLEARS.release()];
  if (halted !== null) {
    const why = halted.host === null ? [] : [`nixwave why ${halted.host}`];
    return [...why, `nixwave clear ${id} --reason "…"`];
  }
  if (rollout.kind === "Superseded" || rollout.kind === "Pruned") return [];
  const next = new Set<string>();
  if (pauseAt(rollout, now) !== null) next.add(`nixwave resume ${id} --reason "…"`);
  for (const { host, clears } of fleet.waitingInOrder(rollout.rolloutId)) {
    if (clears === null) continue;
    next.add(`nixwave why ${host}`).add(clears);
    if (next.size >= NEXT_MAX) break;
  }
  return [...next].slice(0, NEXT_MAX);
}

/** Explains no host: it is asked for at each look of each screen. */
export function rolloutSummary(
  fleet: FleetState,
  { rollout, release }: { readonly rollout: Rollout; readonly release: Release },
  now: Instant,
): RolloutSummary {
  const halted = haltOf(fleet, rollout, release);
  const tallies = fleet.waves(rollout.rolloutId);
  const counts = shownCounts(fleet, release);
  return {
    rolloutId: rollout.rolloutId,
    channel: rollout.channel,
    ref: rollout.ref,
    revision: release.revision,
    createdAt: rollout.createdAt,
    createdBy: release.createdBy,
    note: release.note,
    openedAt: rollout.openedAt,
    state: rollout.kind,
    cursor: rollout.cursor,
    waves: release.waves.length,
    hosts: release.hosts.length,
    done:
      tallies.length === 0
        ? (counts.converged ?? 0)
        : tallies.reduce((sum, { done }) => sum + done, 0),
    counts,
    pause: pauseAt(rollout, now),
    halted,
    supersededBy: rollout.kind === "Superseded" ? rollout.supersededBy : null,
    next: nextOf(fleet, rollout, { halted, now }),
  };
}
