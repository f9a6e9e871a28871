import type {
  AgentRun,
  Channel,
  ClosureHash,
  EmitLog,
  HostName,
  HostRollout,
  Instant,
  LocalEffect,
  LogLevel,
  OutboundAgentEvent,
  Outcome,
  RolloutId,
  SharedEffect,
} from "@nixwave/effects";
import { nextSeq, stepLocal } from "@nixwave/effects";
import { type DispatchOffer, fitEvent } from "@nixwave/protocol";
import type { Answer } from "../input.ts";
import type { Change } from "../journal/change.ts";
import type { Loaded } from "../journal/facts.ts";

/** All that one decision may look at; it is read before, and nothing else is. */
export interface Situation extends Loaded {
  readonly now: Instant;
  readonly host: HostName;
  readonly channel: Channel;
  readonly run: AgentRun;
  /** The outbox is at its cap: what is no transition is not made any more. */
  readonly outboxFull: boolean;
  /** `recently`: the machine was asked about `current` in this very state less than 30 s ago. */
  readonly asked: "recently" | "before";
}

/** One event and what it did, or effects alone. Steps of one decision are committed together, in order. */
export interface Step {
  readonly before: HostRollout | null;
  readonly record: HostRollout | null;
  readonly effects: readonly (LocalEffect | SharedEffect)[];
  readonly outcome: Outcome | null;
  readonly acknowledged: boolean;
}

/** What a source or worker is asked for after the commit. It may be asked twice, and its answer is an input. */
export type Ask =
  | { readonly kind: "Verify"; readonly offer: DispatchOffer; readonly leaseUntil: Instant }
  | { readonly kind: "Observe"; readonly rolloutId: RolloutId }
  | { readonly kind: "StopUnit"; readonly rolloutId: RolloutId }
  | { readonly kind: "PinKnownGood"; readonly closure: ClosureHash }
  | { readonly kind: "Heartbeat" }
  /** A result was not reported, because the outbox is at its cap: it is counted instead. */
  | { readonly kind: "CountWithheld" };

export interface Decision {
  readonly changes: readonly Change[];
  readonly steps: readonly Step[];
  readonly asks: readonly Ask[];
  readonly answer: Answer;
}

export const log = (
  level: LogLevel,
  message: string,
  fields: readonly (readonly [string, string])[] = [],
): EmitLog => ({ kind: "EmitLog", level, target: "agent", message, fields });

/** Effects that belong to no event: a log line, or what `observe` finds still owed. */
export const only = (
  record: HostRollout | null,
  ...effects: readonly (LocalEffect | SharedEffect)[]
): Step => ({ before: record, record, effects, outcome: null, acknowledged: false });

/** One event of the agent's own: the one place where an event gets its number. */
export function step(record: HostRollout, event: OutboundAgentEvent, now: Instant): Step {
  const { host, rolloutId, journalId, lastSeq } = record;
  // `prev` is set where the journal writes the line; no reducer reads it.
  const fitting = fitEvent(event);
  const envelope = {
    host,
    rolloutId,
    journalId,
    seq: nextSeq(lastSeq),
    prev: null,
    event: fitting,
  };
  const { outcome, state, effects } = stepLocal(record, envelope, now);
  const moved = outcome.kind === "moved" || outcome.kind === "stayed";
  return {
    before: record,
    record: state,
    effects,
    outcome,
    acknowledged: moved && event.kind === "DispatchAck",
  };
}

/** Several events in a row on one record: each sees what the one before it left. A refused one ends the row. */
export function stepAll(
  record: HostRollout,
  events: readonly OutboundAgentEvent[],
  now: Instant,
): readonly Step[] {
  const steps: Step[] = [];
  let at = record;
  for (const event of events) {
    const made = step(at, event, now);
    steps.push(made);
    if (made.outcome?.kind === "refused") break;
    at = made.record ?? at;
  }
  return steps;
}

/** Nothing changes; the reason is for the worker that asked, and for the log. */
export function ignored(
  record: HostRollout | null,
  reason: string,
  rest: { readonly steps?: readonly Step[]; readonly asks?: readonly Ask[] } = {},
): Decision {
  const answer: Answer = { outcome: { kind: "ignored", reason }, record };
  return { changes: [], steps: rest.steps ?? [], asks: rest.asks ?? [], answer };
}

/** The steps of one record, and what follows from them for the host as a whole. */
export function decided(
  steps: readonly Step[],
  rest: { readonly changes?: readonly Change[]; readonly asks?: readonly Ask[] } = {},
): Decision {
  const last = steps.at(-1);
  const record = last?.record ?? null;
  const outcome = last?.outcome ?? { kind: "ignored" as const, reason: "nothing to report" };
  const proven: readonly Change[] =
    record?.kind === "Converged" && outcome.kind === "moved"
      ? [{ kind: "KnownGoodAdded", closure: record.currentClosure }]
      : [];
  const changes = [...(rest.changes ?? []), ...proven];
  // The pin outlives the journal, so that one that has forgotten still knows where to roll back to.
  const pins = changes.flatMap((change): readonly Ask[] =>
    change.kind === "KnownGoodAdded" ? [{ kind: "PinKnownGood", closure: change.closure }] : [],
  );
  return { changes, steps, asks: [...pins, ...(rest.asks ?? [])], answer: { outcome, record } };
}
