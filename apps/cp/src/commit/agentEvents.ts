import {
  answeredDispatch,
  type Dispatch,
  type DispatchAck,
  type HostName,
  hostStateChanged,
  invariant,
  type JournalId,
  nextSeq,
  type OutboundAgentEvent,
  type RolloutId,
  refusedDispatch,
  type Seq,
  type Sha256,
  secsBetween,
} from "@nixwave/effects";
import type { EventRefusal, Line, LineRefusal } from "@nixwave/protocol";
import type { AgentEvents, EventsTaken, Refused } from "../command.ts";
import type { StreamEnd } from "../store/streams.ts";
import { arrive } from "./arrival.ts";
import type { Draft } from "./draft.ts";
import { Received } from "./received.ts";
import { takes } from "./takes.ts";

type Addressed = Line | Exclude<LineRefusal, { code: "bad-line" }>;

/** A line with its place in a stream; whether it is an event is judged when its turn comes. */
interface Placed {
  readonly text: string;
  readonly hash: Sha256;
  readonly line: Addressed;
}

/** The batch of one host, line by line. Refused whole where its journal is old or a stream does not continue (set-back). */
export function decideAgentEvents(draft: Draft, command: AgentEvents): EventsTaken | Refused {
  const { host, journalId } = command;
  const arrived = arrive(draft, command, null);
  if ("kind" in arrived) return arrived;
  const received = new Received();
  const placed: Placed[] = [];
  for (const [place, text] of command.lines.entries()) {
    const { decoded, hash } = draft.memory.lines.read(text);
    const line = decoded.ok ? decoded.value : decoded.error;
    if ("code" in line && line.code === "bad-line") received.bad(place + 1, line.reason);
    else if (line.host !== host) return wrongHost(host, line.host);
    else placed.push({ text, hash, line });
  }
  const broken = firstBreak(draft, journalId, placed);
  if (broken !== null) return setBack(host, broken);
  for (const each of placed) take({ draft, journalId, received }, each);
  draft.duplicates += received.duplicates;
  return { kind: "taken", ...received.answer() };
}

/**
 * The stream's own chain: each line carries the hash of the one before. Looked at for the whole batch before anything is consumed,
 * because a batch that betrays a machine which was set back is refused whole.
 */
function firstBreak(
  { memory }: Draft,
  journalId: JournalId,
  lines: readonly Placed[],
): Addressed | null {
  const ends = new Map<RolloutId, StreamEnd>();
  for (const { line, hash } of lines) {
    const { host, rolloutId, seq, prev } = line;
    if (!takes(memory, rolloutId, host)) continue;
    const end = ends.get(rolloutId) ?? memory.streams.end(host, rolloutId, journalId);
    // Sent again, the same number is the same line; a number that was given twice has two histories.
    if (seq === end.lastSeq && hash !== end.lastHash) return line;
    if (seq !== nextSeq(end.lastSeq)) continue;
    if (prev !== end.lastHash) return line;
    ends.set(rolloutId, { lastSeq: seq, lastHash: hash });
  }
  return null;
}

interface Taking {
  readonly draft: Draft;
  readonly journalId: JournalId;
  readonly received: Received;
}

function take(taking: Taking, placed: Placed): void {
  const { draft, journalId, received } = taking;
  const { host, rolloutId, seq } = placed.line;
  const { streams } = draft.memory;
  if (!takes(draft.memory, rolloutId, host)) {
    takeUnknown(taking, placed);
    return;
  }
  const { lastSeq } = streams.end(host, rolloutId, journalId);
  if (seq <= lastSeq) {
    received.duplicate(rolloutId, lastSeq);
    return;
  }
  if (seq !== nextSeq(lastSeq)) {
    received.gap(rolloutId, lastSeq);
    return;
  }
  if ("code" in placed.line) {
    refuse(taking, placed, placed.line.code);
    return;
  }
  takeEvent(taking, placed, placed.line.event);
}

function takeEvent(taking: Taking, placed: Placed, event: OutboundAgentEvent): void {
  const { draft, journalId, received } = taking;
  const { fleet } = draft.memory;
  const { host, rolloutId, seq } = placed.line;
  const missing = event.kind === "DispatchAck" ? missingBefore(taking, host, event) : null;
  if (missing !== null) {
    received.gap(rolloutId, draft.memory.streams.end(host, rolloutId, journalId).lastSeq);
    received.gap(missing.rolloutId, missing.lastSeq);
    return;
  }
  const answers = event.kind === "DispatchAck" || event.kind === "DispatchReject";
  if (fleet.record(rolloutId, host) === null) {
    // Only an answer to a dispatch can begin a history that this log does not have.
    if (!answers) {
      refuse(taking, placed, "bad-event");
      return;
    }
    const { attempt, dispatchedAt } = event;
    const at = draft.now;
    draft.input({ kind: "HostJoined", rolloutId, at, host, attempt, journalId, dispatchedAt });
  }
  const before = fleet.record(rolloutId, host);
  const { outcome } = draft.append({
    kind: "AgentEvent",
    host,
    rolloutId,
    journalId,
    seq,
    line: placed.text,
  });
  const after = fleet.record(rolloutId, host);
  invariant(before !== null && after !== null && outcome !== null, "an event steps a record");
  received.consumed(rolloutId, seq, outcome.kind === "refused" ? outcome.code : null);
  if (answers) {
    const answered = outcome.kind === "refused" ? refusedDispatch : answeredDispatch;
    answerDispatch(draft, { host, rolloutId }, (dispatch) => answered(dispatch, event, draft.now));
  }
  if (outcome.kind === "moved") draft.input(hostStateChanged(fleet, before, after, draft.now));
}

function answerDispatch(
  draft: Draft,
  { host, rolloutId }: { readonly host: HostName; readonly rolloutId: RolloutId },
  answer: (dispatch: Dispatch) => Dispatch,
): void {
  const dispatch = draft.memory.fleet.dispatch(rolloutId, host);
  if (dispatch === null) return;
  const answered = answer(dispatch);
  if (answered === dispatch) return;
  draft.dispatch(answered);
  if (answered.state === "acknowledged")
    draft.acknowledgedSecs.push(secsBetween(dispatch.dispatchedAt, draft.now));
}

/**
 * Superseding 4: an acknowledgement waits until the stream of the host's record before it is here, if that rollout is known and the
 * agent's last heartbeat says that it still has the stream. Without a heartbeat since the start it waits for one, which the gap brings about.
 */
function missingBefore(
  { draft, journalId }: Taking,
  host: HostName,
  { previous }: DispatchAck,
): { readonly rolloutId: RolloutId; readonly lastSeq: Seq | 0 } | null {
  if (previous === null || previous.journalId !== journalId) return null;
  const { streams, hosts } = draft.memory;
  const { rolloutId } = previous;
  if (!takes(draft.memory, rolloutId, host)) return null;
  const kept = hosts.get(host)?.report?.streams.some((each) => each.rolloutId === rolloutId);
  if (kept !== true && wasHeard(draft, host)) return null;
  const { lastSeq } = streams.end(host, rolloutId, journalId);
  return lastSeq < previous.lastSeq ? { rolloutId, lastSeq } : null;
}

/** A heartbeat came since this start: one from before it, or from before a backup, knows nothing of what is missing here. */
function wasHeard({ memory: { fleet } }: Draft, host: HostName): boolean {
  const reportAt = fleet.host(host)?.reportAt ?? null;
  return reportAt !== null && reportAt >= fleet.readyAt;
}

/** A line that never reaches `transition`; it uses its number up. */
function refuse({ draft, journalId, received }: Taking, placed: Placed, code: EventRefusal): void {
  const { host, rolloutId, seq } = placed.line;
  const line = { host, rolloutId, journalId, seq, code, sha256: placed.hash };
  draft.append({ kind: "EventRefused", ...line });
  draft.perform.push(
    {
      kind: "EmitMetric",
      name: "nixwave_events_refused_total",
      labels: [["code", code]],
      value: 1,
    },
    {
      kind: "EmitLog",
      level: "warn",
      target: "events",
      message: "event refused",
      fields: [
        ["host", host],
        ["rollout", rolloutId],
        ["code", code],
        ["reason", "reason" in placed.line ? placed.line.reason : ""],
      ],
    },
  );
  received.consumed(rolloutId, seq, code);
}

/** Acknowledged, so that the agent is rid of it, and logged once; no stream is kept: should the rollout become known, it is replayed. */
function takeUnknown(taking: Taking, placed: Placed): void {
  const { draft, journalId, received } = taking;
  const { host, rolloutId, seq } = placed.line;
  const { unknown } = draft.memory;
  const key = `${host} ${rolloutId} ${journalId}`;
  if (seq <= (unknown.get(key) ?? 0)) received.consumed(rolloutId, seq, "unknown-rollout");
  else refuse(taking, placed, "unknown-rollout");
  if (unknown.size >= UNKNOWN_STREAMS_MAX) unknown.clear();
  unknown.set(key, Math.max(seq, unknown.get(key) ?? 0));
}

/** Forgetting them costs a second log row for a line that is sent again; keeping them without end costs the memory. */
const UNKNOWN_STREAMS_MAX = 10_000;

const wrongHost = (host: HostName, named: HostName): Refused => ({
  kind: "refused",
  code: "wrong-host",
  sentence: `${host} sent an event of ${named}: a host reports only on itself.`,
});

const setBack = (host: HostName, { rolloutId, seq }: Addressed): Refused => ({
  kind: "refused",
  code: "set-back",
  sentence: `event ${seq} of ${host} in ${rolloutId} does not continue what was received before: start a new journal.`,
});
