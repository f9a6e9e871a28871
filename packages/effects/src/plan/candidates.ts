import type { ChannelEntry } from "./channel.ts";
import {
  type Blocked,
  isHostAskedBetween,
  isRolloutBlocked,
  rolloutBlock,
  rolloutWakesAt,
} from "./gates.ts";
import { Heap } from "./heap.ts";
import type { Look } from "./look.ts";
import { isPlanned, type Member, type RolloutEntry } from "./member.ts";
import type { Candidates } from "./plan.ts";
import { compareNames } from "./releaseIndex.ts";

/** Every host of every rollout. */
export function everyone(look: Look): Candidates {
  const { index } = look;
  const members = [...index.rollouts.values()].flatMap(({ members: of }) => [...of.values()]);
  return {
    channels: index.order.map((channel) => index.channel(channel)),
    rollouts: [...index.rollouts.values()].map((rollout) => woken(rollout, look)),
    members: members.toSorted((a, b) => compareMembers(a, b, look)),
  };
}

/** What was touched, what is due, what a rollout's opened or closed gates concern, and who waits for a freed slot. */
export function candidates(look: Look): Candidates {
  const { index, now } = look;
  const { agenda } = index;
  const due = agenda.due(now);
  const shifted = new Set(agenda.shifted);
  const first = new Set(agenda.touched);
  for (const one of due) {
    if (one.kind === "rollout") shifted.add(one.rollout);
    else first.add(one.member);
  }
  const queues: Queue[] = [];
  for (const rollout of shifted) {
    for (const member of agenda.open(rollout)) first.add(member);
    const wide = rolloutBlock(rollout, look);
    for (const member of agenda.parked(rollout))
      if (wide === null || isHeldElsewhere(member, wide)) first.add(member);
    if (wide !== null) continue;
    for (const budget of agenda.budgetsWaitedFor(rollout)) queues.push({ rollout, budget });
  }
  for (const budget of agenda.freed) {
    for (const member of agenda.waitersWithOwnSlot(budget)) first.add(member);
    for (const rollout of agenda.rolloutsWaitingFor(budget))
      if (!shifted.has(rollout) && !isRolloutBlocked(rollout, look))
        queues.push({ rollout, budget });
  }
  return {
    channels: channelsOf(look, shifted),
    rollouts: [...shifted].map((rollout) => woken(rollout, look)),
    members: merged(first, queues, look),
  };
}

/** The gate that parked the host opened, and another holds its rollout: the host's own gates between the two were never asked. */
const isHeldElsewhere = ({ waitsAt }: Member, { block }: Blocked): boolean =>
  waitsAt === null || isHostAskedBetween(waitsAt.gate, block.gate);

interface Queue {
  readonly rollout: RolloutEntry;
  readonly budget: string;
}

const woken = (rollout: RolloutEntry, look: Look) => ({
  rollout,
  wakesAt: isPlanned(rollout) ? rolloutWakesAt(rollout, look) : null,
});

function channelsOf({ index }: Look, shifted: ReadonlySet<RolloutEntry>): readonly ChannelEntry[] {
  const { agenda } = index;
  const concerned = new Set(agenda.channels);
  for (const { channel } of agenda.progressed) concerned.add(channel);
  for (const { channel } of shifted) concerned.add(channel);
  const rank = index.rankOf;
  return [...concerned]
    .toSorted((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0))
    .map((channel) => index.channel(channel));
}

interface Next {
  readonly member: Member;
  readonly queue: (Queue & { readonly waiters: Generator<Member, undefined> }) | null;
}

/**
 * The touched and the waiters of freed budgets, as one sequence in the order of the full plan. A budget's next waiter is
 * taken only while it has room, which is asked again each time: whoever came before may have taken the slot.
 */
function* merged(
  first: ReadonlySet<Member>,
  queues: readonly Queue[],
  look: Look,
): Generator<Member> {
  const heap = new Heap<Next>((a, b) => compareMembers(a.member, b.member, look) < 0);
  const seen = new Set<Member>();
  const advance = (queue: NonNullable<Next["queue"]>): void => {
    if (!hasRoom(queue, look)) return;
    const { value: member } = queue.waiters.next();
    if (member !== undefined) heap.push({ member, queue });
  };
  for (const member of first) heap.push({ member, queue: null });
  for (const { rollout, budget } of queues)
    advance({ rollout, budget, waiters: look.index.agenda.waitersOf(rollout, budget) });
  for (let next = heap.pop(); next !== null; next = heap.pop()) {
    const { member, queue } = next;
    if (!seen.has(member) && (queue === null || hasRoom(queue, look))) {
      seen.add(member);
      yield member;
    }
    if (queue !== null) advance(queue);
  }
}

function hasRoom({ rollout, budget }: Queue, look: Look): boolean {
  const limit = rollout.release?.release.budgets.find(({ name }) => name === budget)?.maxInFlight;
  return limit !== undefined && look.held(budget) < limit;
}

function compareMembers(a: Member, b: Member, { index: { rankOf } }: Look): number {
  if (a.rollout === b.rollout) {
    // Infinity minus itself is not a number: hosts outside the release are ordered by name alone.
    return a.order === b.order ? compareNames(a.host.host, b.host.host) : a.order - b.order;
  }
  return (
    (rankOf.get(a.rollout.channel) ?? 0) - (rankOf.get(b.rollout.channel) ?? 0) ||
    a.rollout.createdAt - b.rollout.createdAt ||
    compareNames(a.rollout.rolloutId, b.rollout.rolloutId)
  );
}
