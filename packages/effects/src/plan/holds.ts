import type { RolloutId } from "../ids.ts";
import type { Instant } from "../time.ts";
import { CLEARS } from "./clears.ts";
import type { WaveTally } from "./counts.ts";
import { isOpen } from "./dispatch.ts";
import type { FleetState } from "./fleet.ts";
import { type Blocked, firstBlock, rolloutBlock } from "./gates.ts";
import { Look } from "./look.ts";
import { isUnfinished, type Member, owed, type RolloutEntry } from "./member.ts";

/** What a wave waits for, in one line; null once it is complete. */
export type HeldBy =
  /** A gate holds `hosts` of its hosts; the block is that of the first in order. */
  | ({ readonly kind: "gate"; readonly hosts: number } & Blocked)
  /** Hosts are on their way: dispatched, activating, deferred, soaking or rolling back. */
  | { readonly kind: "under-way"; readonly hosts: number }
  /** Each host is done, and none has shown its health. */
  | { readonly kind: "unproven"; readonly clears: string }
  /** Hosts failed, more than the policy bears, and nothing is owed to them. */
  | { readonly kind: "failed"; readonly hosts: number; readonly clears: string };

export interface WaveHold extends WaveTally {
  readonly advanced: boolean;
  readonly heldBy: HeldBy | null;
}

/** Why each wave of a rollout is not complete yet: what a person reads before asking about a host. Reads the open waves' hosts. */
export function waveHolds(
  fleet: FleetState,
  rolloutId: RolloutId,
  now: Instant,
): readonly WaveHold[] {
  const entry = fleet.index.rollouts.get(rolloutId);
  if (entry === undefined) return [];
  const look = new Look(fleet.index, fleet.index.counts, now);
  return fleet.waves(rolloutId).map((tally) => ({
    ...tally,
    advanced: entry.rollout?.advanced.includes(tally.wave) ?? false,
    heldBy: tally.complete ? null : heldBy(entry, tally, look),
  }));
}

function heldBy(entry: RolloutEntry, { wave, hosts, done }: WaveTally, look: Look): HeldBy | null {
  const members = (entry.release?.byWave.get(wave) ?? []).flatMap(({ host }) => {
    const member = entry.members.get(host);
    return member === undefined ? [] : [member];
  });
  const waiting = members.filter(
    (member) => owed(member) !== null && member.marks.skippedAt === null,
  );
  const first = waiting[0];
  const block = first === undefined ? rolloutBlock(entry, look) : firstBlock(first, look);
  const held = isBeyond(entry, wave) ? members.length : waiting.length;
  if (block !== null && (held > 0 || done < hosts))
    return { kind: "gate", hosts: held, ...plain(block) };
  const moving = members.filter(isMoving).length;
  if (moving > 0) return { kind: "under-way", hosts: moving };
  if (hosts > 0 && done === hosts) return { kind: "unproven", clears: CLEARS.advance(entry) };
  const failed = members.filter(({ counted }) => counted.standing === "tolerated").length;
  return failed === 0 ? null : { kind: "failed", hosts: failed, clears: CLEARS.clear(entry) };
}

const plain = ({ block, earliest, clears }: Blocked): Blocked => ({ block, earliest, clears });
const isBeyond = ({ rollout }: RolloutEntry, wave: number): boolean =>
  wave > (rollout?.cursor ?? 0);
const isMoving = (member: Member): boolean =>
  isUnfinished(member) || (member.dispatch !== null && isOpen(member.dispatch));
