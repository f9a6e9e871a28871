import {
  type AgentRun,
  addSecs,
  type HostRollout,
  type Instant,
  later,
  nextDueAt,
} from "@nixwave/effects";
import type { Decision, Situation } from "./decide/decision.ts";

/** The machine is asked about one unchanged state no more often than this: asking is a look at the disk and at systemd. */
const ASK_EVERY_SECS = 30;

/** When the machine was last asked, and about which state of which record. */
export interface LastAsk {
  readonly key: string;
  readonly at: Instant;
}

const keyOf = (record: HostRollout): string =>
  `${record.rolloutId} ${record.journalId} ${record.lastSeq}`;

export function askedOf(
  current: HostRollout | null,
  last: LastAsk | null,
  now: Instant,
): Situation["asked"] {
  if (last === null || current === null || last.key !== keyOf(current)) return "before";
  return now < addSecs(last.at, ASK_EVERY_SECS) ? "recently" : "before";
}

/** The last ask after a decision: about the record as the decision has left it. */
export function lastAskAfter(
  decision: Decision,
  current: HostRollout | null,
  last: LastAsk | null,
  now: Instant,
): LastAsk | null {
  const asks = decision.asks.some((ask) => ask.kind === "Observe" || ask.kind === "StopUnit");
  return asks && current !== null ? { key: keyOf(current), at: now } : last;
}

/**
 * When the timer is to fire, or null: nothing of a record that is settled happens by time alone. What is due already was
 * asked for, or will be: it is looked at again when the machine may be asked again, and not at once.
 */
export function timerAt(
  current: HostRollout | null,
  last: LastAsk | null,
  run: AgentRun,
  now: Instant,
): Instant | null {
  const at = current === null ? null : nextDueAt(current, run);
  if (at === null || at > now || current === null || last?.key !== keyOf(current)) return at;
  return later(at, addSecs(last.at, ASK_EVERY_SECS));
}
