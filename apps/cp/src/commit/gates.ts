import type { GateName } from "@nixwave/effects";
import type { Draft } from "./draft.ts";

/**
 * One line when a gate begins to hold hosts of a rollout, one when it holds none any more; never one per host or per planning (hazard 71).
 * Asked at most once a second, so that a budget whose slots change hands all the time is no line each time.
 */
export function logGates(draft: Draft): void {
  const { memory } = draft;
  for (const rolloutId of memory.gatesTouched) {
    // Empty for a rollout that is not its channel's newest: it is planned no more, so no gate holds its hosts.
    const held = memory.fleet.waitingByGate(rolloutId);
    const before = memory.gates.get(rolloutId) ?? new Map<GateName, unknown>();
    for (const gate of [...before.keys()].toSorted())
      if (!held.has(gate)) draft.append({ kind: "GateChanged", rolloutId, gate, hosts: 0 });
    for (const [gate, hosts] of [...held].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      if (!before.has(gate)) draft.append({ kind: "GateChanged", rolloutId, gate, hosts });
  }
  memory.gatesTouched.clear();
}
