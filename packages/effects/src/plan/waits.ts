import type { Instant } from "../time.ts";
import type { FleetIndex } from "./fleetIndex.ts";
import { type Blocked, rankOf, rolloutBlock } from "./gates.ts";
import { Look } from "./look.ts";
import { isPlanned, type Member, type RolloutEntry } from "./member.ts";
import type { Place } from "./waitCounts.ts";
import type { GateName, Waiting } from "./waiting.ts";

/**
 * Why hosts of a rollout wait, as of the last plan. What a plan found of a host is kept until something makes it look again; a gate
 * that closed over the whole rollout meanwhile is asked here, because such a gate looks at no host that it merely goes on holding.
 */
export function waitingOf(index: FleetIndex, entry: RolloutEntry): readonly Waiting[] {
  const wide = wideBlock(index, entry);
  return [...entry.members.values()]
    .toSorted((a, b) => a.order - b.order)
    .flatMap((member) => heldNow(member, wide));
}

/** The same one by one, of listed hosts, for whoever needs only the first few. */
export function* waitingInOrder(index: FleetIndex, entry: RolloutEntry): Generator<Waiting> {
  const wide = wideBlock(index, entry);
  for (const { host } of entry.release?.hosts ?? []) {
    const member = entry.members.get(host);
    if (member !== undefined) yield* heldNow(member, wide);
  }
}

/**
 * The same in numbers, at the cost of gates and waves. A host of a wave to come counts as waiting for it, whatever else would hold it
 * too: it is looked at when its wave opens.
 */
export function countWaiting(
  index: FleetIndex,
  entry: RolloutEntry,
): ReadonlyMap<GateName, number> {
  const counts = new Map<GateName, number>();
  if (!isPlanned(entry)) return counts;
  const wide = wideBlock(index, entry);
  const cursor = entry.rollout?.cursor ?? 0;
  const count = (gate: GateName, hosts: number): void => {
    if (hosts > 0) counts.set(gate, (counts.get(gate) ?? 0) + hosts);
  };
  for (const { index: wave } of entry.release?.release.waves ?? []) {
    const isToCome = wave > cursor;
    for (const [place, hosts] of entry.waits.of(wave))
      if (!isToCome || !place.untried) count(gateOf(place, wide), hosts);
    if (isToCome) count(wide?.block.gate ?? "wave", index.counts.untried(entry, wave));
  }
  return counts;
}

const wideBlock = (index: FleetIndex, entry: RolloutEntry): Blocked | null =>
  isPlanned(entry) ? rolloutBlock(entry, new Look(index, index.counts, plannedAt(index))) : null;

const plannedAt = ({ lastPlanAt, readyAt }: FleetIndex): Instant => lastPlanAt ?? readyAt;

function heldNow({ waiting, waitsAt }: Member, wide: Blocked | null): readonly Waiting[] {
  if (waiting === null || waitsAt === null) return [];
  return [wide !== null && isCovered(waitsAt, wide) ? { ...waiting, ...plain(wide) } : waiting];
}

const plain = ({ block, earliest, clears }: Blocked): Blocked => ({ block, earliest, clears });

const gateOf = (place: Place, wide: Blocked | null): GateName =>
  wide !== null && isCovered(place, wide) ? wide.block.gate : place.gate;

/** The first gate that blocks names the wait, and asks the whole rollout before its hosts. */
const isCovered = ({ gate, ofRollout }: Place, wide: Blocked): boolean =>
  ofRollout || rankOf(gate) >= rankOf(wide.block.gate);
