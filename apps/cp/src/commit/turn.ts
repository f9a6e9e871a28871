import { addSecs, earliest, type Instant, nextPlanAt } from "@nixwave/effects";
import type { Random } from "../ports.ts";
import type { Memory } from "../store/memory.ts";
import type { Snapshot } from "../store/snapshot.ts";
import type { KnownHeads } from "../store/store.ts";
import { Draft } from "./draft.ts";
import { logGates } from "./gates.ts";
import type { Pending } from "./pending.ts";
import { planUntilSettled } from "./planning.ts";
import { endReplayWhereOver } from "./replay.ts";

/** At rest nothing else is written, so this is how often the disk is touched. */
const STORE_HEARD_SECS = 30;
/** Counting gates looks at every waiting host of the rollouts touched: once a second is news enough for a log. */
const GATES_SECS = 1;
/** `nextPlanAt` may be early; without a floor that would be a hot loop. */
const TICK_SECS_MIN = 0.25;

export interface TurnInput {
  readonly pending: readonly Pending[];
  readonly heads: KnownHeads;
  readonly now: Instant;
  /** The tables as the last commit left them, where this batch takes a checkpoint. */
  readonly snapshot: Snapshot | null;
  readonly random: Random;
  /** The last turn of the process: what was heard is stored whatever the hour. */
  readonly last: boolean;
}

export interface Turn {
  readonly draft: Draft;
  /** Each gives one answer to whoever waits for it. */
  readonly deliveries: readonly (() => void)[];
}

/** Everything that one batch means, decided in memory: commands, then the plan, then what had to wait for the plan. */
export function decideTurn(memory: Memory, input: TurnInput): Turn {
  const draft = new Draft(memory, input);
  // Before anything is decided: the checkpoint is of what was, and its line begins the segment.
  if (input.snapshot !== null) draft.checkpoint(input.snapshot);
  const decided = input.pending.map((pending) => pending.decide(draft, input.heads));
  planUntilSettled(draft);
  const deliveries = decided.map((afterPlan) => afterPlan());
  planUntilSettled(draft);
  if (input.last || input.now >= addSecs(memory.gatesAt, GATES_SECS)) {
    memory.gatesAt = input.now;
    logGates(draft);
    endReplayWhereOver(draft);
  }
  const heardIsDue = memory.mustStore || input.now >= addSecs(memory.storedAt, STORE_HEARD_SECS);
  if (memory.unstored.size > 0 && (input.last || heardIsDue)) storeHeard(draft);
  return { draft, deliveries };
}

function storeHeard(draft: Draft): void {
  const { memory, now } = draft;
  for (const host of memory.unstored) {
    const known = memory.hosts.get(host);
    if (known === undefined || known.lastHeardAt === null) continue;
    const { lastHeardAt, report, foreignHead } = known;
    draft.observe({ kind: "HostSeen", host, lastHeardAt, report, foreignHead });
  }
  memory.unstored.clear();
  memory.mustStore = false;
  memory.storedAt = now;
}

/** When time alone may have something to do, or null. */
export function nextTickAt(memory: Memory, now: Instant): Instant | null {
  const due = earliest([
    ...[nextPlanAt(memory.fleet)].filter((at) => at !== null),
    ...(memory.gatesTouched.size > 0 || memory.replaying.size > 0
      ? [addSecs(memory.gatesAt, GATES_SECS)]
      : []),
    ...(memory.unstored.size > 0 ? [addSecs(memory.storedAt, STORE_HEARD_SECS)] : []),
  ]);
  if (due === null) return null;
  const soonest = addSecs(now, TICK_SECS_MIN);
  return due < soonest ? soonest : due;
}
