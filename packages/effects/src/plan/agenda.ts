import type { Channel } from "../ids.ts";
import type { Instant } from "../time.ts";
import { Heap } from "./heap.ts";
import type { Member, RolloutEntry } from "./member.ts";

export type Due =
  | { readonly kind: "member"; readonly at: Instant; readonly member: Member }
  | { readonly kind: "rollout"; readonly at: Instant; readonly rollout: RolloutEntry };

/** The hosts of one rollout that wait for one budget, in order. An entry is stale unless its member is still in `waits`. */
interface BudgetQueue {
  readonly heap: Heap<Member>;
  readonly inHeap: Set<Member>;
  readonly waits: Set<Member>;
}

/**
 * What the next plan must look at, so that it never scans hosts. A waiting host is known by what may open its gate: a host's
 * own changes touch it; a gate of its whole rollout parks it; a full budget queues it; time alone is a heap of instants.
 */
export class Agenda {
  readonly touched = new Set<Member>();
  /** A gate of the whole rollout may have opened or closed. */
  readonly shifted = new Set<RolloutEntry>();
  /** A wave, or the rollout itself, may be complete. */
  readonly progressed = new Set<RolloutEntry>();
  /** A release or rollout of the channel came. */
  readonly channels = new Set<Channel>();
  /** Budgets in which a slot became free. */
  readonly freed = new Set<string>();
  readonly #open = new Map<RolloutEntry, Set<Member>>();
  readonly #parked = new Map<RolloutEntry, Set<Member>>();
  readonly #queues = new Map<RolloutEntry, Map<string, BudgetQueue>>();
  readonly #queuedIn = new Map<Member, string>();
  /** Waiters whose host holds a slot of the very budget that they wait for: it needs no room there, only that others leave. */
  readonly #ownSlots = new Map<string, Set<Member>>();
  readonly #rolloutTimers = new Map<RolloutEntry, Instant>();
  readonly #timers = new Heap<Due>((a, b) => a.at < b.at);

  /** Members with a dispatch that is not answered: a closing gate cancels it. */
  open(rollout: RolloutEntry): ReadonlySet<Member> {
    return this.#open.get(rollout) ?? NONE;
  }

  parked(rollout: RolloutEntry): ReadonlySet<Member> {
    return this.#parked.get(rollout) ?? NONE;
  }

  budgetsWaitedFor(rollout: RolloutEntry): Iterable<string> {
    return this.#queues.get(rollout)?.keys() ?? [];
  }

  rolloutsWaitingFor(budget: string): readonly RolloutEntry[] {
    return [...this.#queues].filter(([, queues]) => queues.has(budget)).map(([rollout]) => rollout);
  }

  /** In (wave, name) order, one by one, so that a full budget costs no more than its next waiter. */
  *waitersOf(rollout: RolloutEntry, budget: string): Generator<Member, undefined> {
    const queue = this.#queues.get(rollout)?.get(budget);
    if (queue === undefined) return;
    for (const member of queue.heap.inOrder()) if (queue.waits.has(member)) yield member;
  }

  waitersWithOwnSlot(budget: string): Iterable<Member> {
    return this.#ownSlots.get(budget) ?? [];
  }

  due(now: Instant): readonly Due[] {
    return this.#timers.upTo(({ at }) => at <= now).filter((due) => this.#isLive(due));
  }

  /** Drops what has gone stale on the way: a timer that was set anew, a member that is no more. */
  nextAt(): Instant | null {
    for (let next = this.#timers.peek(); next !== null; next = this.#timers.peek()) {
      if (this.#isLive(next)) return next.at;
      this.#timers.pop();
    }
    return null;
  }

  setOpen(member: Member, isOpen: boolean): void {
    put(this.#open, member, isOpen);
  }

  park(member: Member, isParked: boolean): void {
    put(this.#parked, member, isParked);
  }

  queue(member: Member, budget: string | null): void {
    const before = this.#queuedIn.get(member);
    if (before !== undefined) this.#ownSlots.get(before)?.delete(member);
    if (budget !== null && holdsSlotOf(member, budget))
      this.#ownSlots.set(budget, (this.#ownSlots.get(budget) ?? new Set()).add(member));
    if (before === (budget ?? undefined)) return;
    if (before !== undefined) {
      this.#queues.get(member.rollout)?.get(before)?.waits.delete(member);
      this.#queuedIn.delete(member);
      this.#trim(member.rollout, before);
    }
    if (budget === null) return;
    const queue = this.#queueOf(member.rollout, budget);
    this.#queuedIn.set(member, budget);
    queue.waits.add(member);
    if (queue.inHeap.has(member)) return;
    queue.inHeap.add(member);
    queue.heap.push(member);
  }

  /** An earlier timer stays: it costs one early look, and a host that is heard every minute costs no heap entry each time. */
  wakeMember(member: Member, at: Instant | null): void {
    if (at === null) member.timerAt = null;
    else if (member.timerAt === null || at < member.timerAt) {
      member.timerAt = at;
      this.#timers.push({ kind: "member", at, member });
    }
  }

  wakeRollout(rollout: RolloutEntry, at: Instant | null): void {
    if (at === null) this.#rolloutTimers.delete(rollout);
    else if (this.#rolloutTimers.get(rollout) !== at) {
      this.#rolloutTimers.set(rollout, at);
      this.#timers.push({ kind: "rollout", at, rollout });
    }
  }

  /** Takes what was due by then; the looked-at set their timers anew. */
  passed(now: Instant): void {
    for (
      let next = this.#timers.peek();
      next !== null && next.at <= now;
      next = this.#timers.peek()
    ) {
      this.#timers.pop();
      if (next.kind === "member" && next.member.timerAt === next.at) next.member.timerAt = null;
      if (next.kind === "rollout" && this.#rolloutTimers.get(next.rollout) === next.at)
        this.#rolloutTimers.delete(next.rollout);
    }
  }

  /** A plan has looked at everything that was on it. */
  clear(): void {
    this.touched.clear();
    this.shifted.clear();
    this.progressed.clear();
    this.channels.clear();
    this.freed.clear();
  }

  drop(member: Member): void {
    this.touched.delete(member);
    this.setOpen(member, false);
    this.park(member, false);
    this.queue(member, null);
    member.timerAt = null;
  }

  dropRollout(rollout: RolloutEntry): void {
    this.#open.delete(rollout);
    this.#parked.delete(rollout);
    this.#queues.delete(rollout);
    this.#rolloutTimers.delete(rollout);
  }

  #isLive(due: Due): boolean {
    switch (due.kind) {
      case "member":
        return due.member.timerAt === due.at;
      case "rollout":
        return this.#rolloutTimers.get(due.rollout) === due.at;
    }
  }

  #queueOf(rollout: RolloutEntry, budget: string): BudgetQueue {
    const queues = this.#queues.get(rollout) ?? new Map<string, BudgetQueue>();
    this.#queues.set(rollout, queues);
    const queue = queues.get(budget) ?? {
      heap: new Heap<Member>((a, b) => a.order < b.order),
      inHeap: new Set<Member>(),
      waits: new Set<Member>(),
    };
    queues.set(budget, queue);
    return queue;
  }

  #trim(rollout: RolloutEntry, budget: string): void {
    const queues = this.#queues.get(rollout);
    const queue = queues?.get(budget);
    if (queue === undefined) return;
    for (
      let top = queue.heap.peek();
      top !== null && !queue.waits.has(top);
      top = queue.heap.peek()
    ) {
      queue.heap.pop();
      queue.inHeap.delete(top);
    }
    if (queue.heap.size === 0) queues?.delete(budget);
  }
}

const holdsSlotOf = ({ host }: Member, budget: string): boolean =>
  [...host.members.values()].some(({ counted }) => counted.slots.includes(budget));

const NONE: ReadonlySet<Member> = new Set();

function put(sets: Map<RolloutEntry, Set<Member>>, member: Member, isIn: boolean): void {
  const set = sets.get(member.rollout);
  if (!isIn) {
    set?.delete(member);
    if (set?.size === 0) sets.delete(member.rollout);
  } else if (set === undefined) sets.set(member.rollout, new Set([member]));
  else set.add(member);
}
