import {
  type HostName,
  type HostRollout,
  type JournalId,
  nextSeq,
  type RolloutId,
  type Seq,
} from "@nixwave/effects";
import type { LogHead } from "@nixwave/protocol";
import type { Heard, Heartbeat, Refused } from "../command.ts";
import type { KnownHost } from "../store/memory.ts";
import { arrive } from "./arrival.ts";
import type { Draft } from "./draft.ts";
import { beginReplay, hostReplayed } from "./replay.ts";
import { takes } from "./takes.ts";

/** Of a host with nothing to catch up with. The lost and offline limits of a policy are many times this. */
const INTERVAL_SECS = 60;
/** While the log replays and it is not done with it, so that the gate `replay` opens soon after the last line. */
const REPLAY_INTERVAL_SECS = 5;

const LOG_ASKS_MAX = 3;

/** What the store says of a reported log head: `ours`, or one that our log has not or has otherwise. */
export type HeadVerdict = "ours" | "foreign";

/**
 * Memory only, unless the journal is new. The report touches no record. What is answered of the log is what was committed before this
 * batch, so that no agent is ever shown a head that a failed commit takes back.
 */
export function decideHeartbeat(
  draft: Draft,
  command: Heartbeat,
  verdict: HeadVerdict,
): Heard | Refused {
  const { host, report, logHead } = command;
  const arrived = arrive(draft, command, report);
  if ("kind" in arrived) return arrived;
  if (logHead !== null && verdict === "foreign")
    noteForeign(draft, { host, known: arrived }, logHead);
  const replayFrom = missing(draft, command);
  const hasAll = Object.keys(replayFrom).length === 0;
  const ahead = aheadOf(draft, command);
  if (hasAll) hostReplayed(draft, host);
  const { replaying, replayed } = draft.memory;
  const isDone = hasAll && (replaying.size === 0 || replayed.has(host));
  return {
    kind: "heard",
    intervalSecs: isDone ? INTERVAL_SECS : REPLAY_INTERVAL_SECS,
    replayFrom,
    ...(ahead === null ? {} : { ahead }),
    logHead: shownHead(draft),
    want: wantsUnitLog(draft, host, arrived) ? ["unit-log"] : [],
  };
}

/** The streams of which the agent has more than this log, each with the number that is missing first. */
function missing(
  { memory }: Draft,
  {
    host,
    journalId,
    report,
  }: { host: HostName; journalId: JournalId; report: Heartbeat["report"] },
): Record<RolloutId, Seq> {
  const replayFrom: Record<RolloutId, Seq> = {};
  for (const { rolloutId, lastSeq } of report.streams) {
    if (!takes(memory, rolloutId, host)) continue;
    const end = memory.streams.end(host, rolloutId, journalId);
    if (end.lastSeq < lastSeq) replayFrom[rolloutId] = nextSeq(end.lastSeq);
  }
  return replayFrom;
}

/**
 * What this log has of the journal beyond the heartbeat. Only the agent can tell whether it was set back or its heartbeat was overtaken by
 * its events, so it is asked and not refused. Older streams may have been pruned there, so the newest alone is told.
 */
function aheadOf(
  { memory }: Draft,
  { host, journalId, report }: Pick<Heartbeat, "host" | "journalId" | "report">,
): Record<RolloutId, Seq> | null {
  const newest = memory.fleet
    .recordsOf(host)
    .filter((record) => record.journalId === journalId && record.lastSeq > 0)
    .reduce<HostRollout | null>(
      (last, each) => (last === null || each.dispatchedAt >= last.dispatchedAt ? each : last),
      null,
    );
  if (newest === null) return null;
  const { rolloutId } = newest;
  const { lastSeq } = memory.streams.end(host, rolloutId, journalId);
  const told = report.streams.find((stream) => stream.rolloutId === rolloutId)?.lastSeq ?? 0;
  return lastSeq === 0 || lastSeq <= told ? null : { [rolloutId]: lastSeq };
}

/**
 * After a failure the output of the unit is what a person reads first. It is asked for with a few heartbeats, because a log that was
 * lost on its way is missed by nobody here; whether it came is not known to the writer.
 */
function wantsUnitLog({ memory }: Draft, host: HostName, known: KnownHost): boolean {
  const newest = memory.fleet
    .recordsOf(host)
    .reduce<HostRollout | null>(
      (last, each) => (last === null || each.dispatchedAt >= last.dispatchedAt ? each : last),
      null,
    );
  if (newest?.kind !== "Failed" && newest?.kind !== "Reverted") return false;
  const failure = `${newest.rolloutId} ${newest.attempt} ${newest.kind}`;
  const times = known.logAsked?.failure === failure ? known.logAsked.times : 0;
  known.logAsked = { failure, times: times + 1 };
  return times < LOG_ASKS_MAX;
}

function shownHead({ memory }: Draft): LogHead | null {
  const { last, hash } = memory.head;
  return last === null ? null : { offset: last, hash };
}

/**
 * This agent was shown a log that is not ours: the database was set back without anybody saying so. The gate `replay` closes, once for
 * each such head, because the agent goes on reporting the highest that it was shown.
 */
function noteForeign(
  draft: Draft,
  { host, known }: { readonly host: HostName; readonly known: KnownHost },
  head: LogHead,
): void {
  if (known.foreignHead === head.hash) return;
  known.foreignHead = head.hash;
  draft.memory.mustStore = true;
  draft.log(
    "warn",
    "the log was set back: an agent was shown another one, so its channels replay",
    [
      ["host", host],
      ["offset", String(head.offset)],
    ],
  );
  beginReplay(draft);
}
