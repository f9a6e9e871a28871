import type { GateName, RolloutId } from "@nixwave/effects";
import type { Draft } from "./draft.ts";

/**
 * One line when a gate begins to hold hosts of a rollout, one when it holds none any more; never one per host or per planning (hazard 71).
 * Counts every waiting host of the rollouts that were touched, so it is asked at most once a second, not for each batch.
 */
export function logGates(draft: Draft): void {
  const { memory } = draft;
  for (const rolloutId of memory.gatesTouched) {
    const held = holding(draft, rolloutId);
    const before = memory.gates.get(rolloutId) ?? new Map<GateName, unknown>();
    for (const gate of [...before.keys()].toSorted())
      if (!held.has(gate)) draft.append({ kind: "GateChanged", rolloutId, gate, hosts: 0 });
    for (const [gate, hosts] of [...held].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      if (!before.has(gate)) draft.append({ kind: "GateChanged", rolloutId, gate, hosts });
  }
  memory.gatesTouched.clear();
}

/** A rollout that is not its channel's newest is planned no more, so no gate holds its hosts. */
function holding(
  { memory: { fleet } }: Draft,
  rolloutId: RolloutId,
): ReadonlyMap<GateName, number> {
  const held = new Map<GateName, number>();
  const rollout = fleet.rollout(rolloutId);
  if (rollout === null || fleet.newestRollout(rollout.channel)?.rolloutId !== rolloutId)
    return held;
  for (const { block } of fleet.waiting(rolloutId))
    held.set(block.gate, (held.get(block.gate) ?? 0) + 1);
  return held;
}
