import type { Envelope, EventKind, OutboundAgentEvent } from "../event.ts";
import { type JournalId, nextSeq, type RolloutId, type Seq } from "../ids.ts";
import type { ByKind } from "../interpret.ts";
import type { Cell, Verdict } from "./cells.ts";
import type { Outcome } from "./outcome.ts";
import { type HostRollout, type HostState, isSettled } from "./state.ts";
import { TABLE } from "./table.ts";

export interface Transition {
  readonly outcome: Outcome;
  readonly state: HostRollout;
}

/**
 * What one event does to one record: shared by the agent and the CP's mirror, so that the two cannot disagree (I4).
 * Total: never throws; a duplicate or a gap returns the same reference; everything else consumes the event's number.
 */
export function transition(state: HostRollout, envelope: Envelope): Transition {
  const newStream = envelope.journalId !== state.journalId;
  const last: Seq | 0 = newStream ? 0 : state.lastSeq;
  if (envelope.seq <= last) return { outcome: { kind: "duplicate" }, state };
  if (envelope.seq !== nextSeq(last))
    return { outcome: { kind: "gap", expected: nextSeq(last) }, state };
  const verdict = judge(state, envelope.event, newStream);
  const consumed = (record: HostRollout) => consumeNumber(record, envelope.journalId, envelope.seq);
  switch (verdict.kind) {
    case "moved":
      return {
        outcome: { kind: "moved", from: state.kind, to: verdict.state.kind },
        state: consumed(verdict.state),
      };
    case "stayed":
      return { outcome: { kind: "stayed" }, state: consumed(verdict.state) };
    case "refused":
      return { outcome: { kind: "refused", code: verdict.code }, state: consumed(state) };
  }
}

/** A number given is never given again: refused events and lines that could not be decoded use theirs up too. */
export function consumeNumber(state: HostRollout, journalId: JournalId, seq: Seq): HostRollout {
  return { ...state, journalId, lastSeq: seq };
}

/**
 * The acknowledgement of a dispatch ends the host's older unsettled record, on both sides, in the same transaction:
 * from then on it takes no event and has no timer. A Pending one has nothing to end: its agent does not look at it.
 */
export function supersede(older: HostRollout, by: RolloutId): HostRollout {
  return older.kind === "Pending" || isSettled(older) ? older : { ...older, supersededBy: by };
}

function judge(state: HostRollout, event: OutboundAgentEvent, newStream: boolean): Verdict {
  if (state.supersededBy !== null) return { kind: "refused", code: "superseded" };
  // Only an answer to a dispatch may begin a stream: any other event there is of a history that this record never had.
  if (newStream && event.kind !== "DispatchAck" && event.kind !== "DispatchReject")
    return { kind: "refused", code: "wrong-journal" };
  return cellOf(state, event)(state, event, newStream);
}

/** The two indices are correlated with the two arguments; the generics say so to the compiler. */
function cellOf<S extends HostState, K extends EventKind>(
  state: ByKind<HostRollout>[S] & { readonly kind: S },
  event: ByKind<OutboundAgentEvent>[K] & { readonly kind: K },
): Cell<S, K> {
  const row: { readonly [P in EventKind]: Cell<S, P> } = TABLE[state.kind];
  return row[event.kind];
}
