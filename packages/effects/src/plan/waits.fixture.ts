import type { HostName } from "../ids.ts";
import type { ControlPlane } from "./controlPlane.fixture.ts";
import { rolloutBlock } from "./gates.ts";
import { Look } from "./look.ts";
import type { RolloutEntry } from "./member.ts";
import { planAll } from "./plan.ts";
import type { GateName } from "./waiting.ts";

/** Which gate holds whom, host by host and in numbers, for each channel's newest rollout. */
interface Waits {
  readonly gates: ReadonlyMap<HostName, GateName>;
  readonly counts: ReadonlyMap<GateName, number>;
}

const newest = (cp: ControlPlane): readonly RolloutEntry[] =>
  cp.fleet.channels().flatMap((of) => cp.fleet.index.channel(of).rollouts.at(-1) ?? []);

const isToCome = ({ members, rollout }: RolloutEntry, host: HostName): boolean =>
  (members.get(host)?.listed?.wave ?? 0) > (rollout?.cursor ?? 0);

/** As the fleet tells it, without looking at a host. */
export const toldWaits = (cp: ControlPlane): readonly Waits[] =>
  newest(cp).map((entry) => ({
    gates: new Map(
      cp.fleet
        .waiting(entry.rolloutId)
        .filter(({ host }) => !isToCome(entry, host))
        .map(({ host, block }) => [host, block.gate]),
    ),
    counts: cp.fleet.waitingByGate(entry.rolloutId),
  }));

/** As the full plan finds it. Hosts of a wave to come wait for it, whatever else would hold them too. */
export function meantWaits(cp: ControlPlane): readonly Waits[] {
  const { index } = cp.fleet;
  const all = planAll(cp.fleet, cp.now).waiting;
  return newest(cp).map((entry) => {
    const wide = rolloutBlock(entry, new Look(index, index.counts, cp.now))?.block.gate;
    const waits = all.filter(({ rolloutId }) => rolloutId === entry.rolloutId);
    const open = waits.filter(({ host }) => !isToCome(entry, host));
    const counts = new Map<GateName, number>();
    for (const { host, block } of waits) {
      const gate = isToCome(entry, host) ? (wide ?? "wave") : block.gate;
      counts.set(gate, (counts.get(gate) ?? 0) + 1);
    }
    return {
      gates: new Map(open.map(({ host, block }) => [host, block.gate])),
      counts,
    };
  });
}
