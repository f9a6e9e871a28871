import type { FleetState, Offset, RolloutId } from "@nixwave/effects";
import type { RolloutMoved } from "@nixwave/protocol";

/** By what the fleet keeps counted: looks at no host. Null where the rollout is unknown. */
export function rolloutMovedView(
  fleet: FleetState,
  rolloutId: RolloutId,
  { offset, changed }: { readonly offset: Offset; readonly changed: RolloutMoved["changed"] },
): RolloutMoved | null {
  const rollout = fleet.rollout(rolloutId);
  if (rollout === null) return null;
  const waves = fleet.waves(rolloutId);
  const sum = (of: (wave: (typeof waves)[number]) => number): number =>
    waves.reduce((total, wave) => total + of(wave), 0);
  return {
    rolloutId,
    offset,
    state: rollout.kind,
    cursor: rollout.cursor,
    counts: {
      hosts: sum(({ hosts }) => hosts),
      done: sum(({ done }) => done),
      proven: sum(({ proven }) => proven),
      failures: fleet.failures(rolloutId).failures,
      waiting: Object.fromEntries(fleet.waitingByGate(rolloutId)),
    },
    changed,
  };
}
