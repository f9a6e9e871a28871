import { check, isClean, sayChecked } from "@nixwave/cp";
import { openReadOnly } from "../endToEnd/ends.ts";
import { damageOf, journaledIn, type Logged } from "../endToEnd/streams.ts";
import type { Cut } from "./powerCut.ts";

/** What one death has cost. */
export interface Loss {
  /** Lines of the journal, or of the log, that are gone. */
  readonly lines: number;
  /** What must not have been lost, or must not be there. */
  readonly faults: readonly string[];
  /** Lines that somebody may have seen, with their hashes: no other line may ever have their place. */
  readonly seen: ReadonlyMap<string, string>;
  /** What is wrong with the file that is left. */
  readonly damage: readonly string[];
}

interface JournalCut {
  readonly host: string;
  readonly cut: Cut;
  readonly within: boolean;
  /** The control plane's log, as of the cut. */
  readonly logged: Logged;
}

/** An agent may have lost a suffix that nobody has seen, and nothing else (I6). */
export function journalLoss({ host, cut, within, logged }: JournalCut): Loss {
  const before = journaledIn(cut.before, host);
  const after = journaledIn(cut.after, host);
  // The mark is written before the POST. One that a power cut has torn was never followed by one.
  const { marked } = within ? journaledIn(cut.synced, host) : before;
  const seen = new Map([...before.lines].filter(([key]) => marked.has(key)));
  const gone = [...before.lines.keys()].filter((key) => !after.lines.has(key));
  const faults = [
    ...gone.filter((key) => marked.has(key)).map((key) => `${key} was sent and is lost`),
    ...[...after.lines]
      .filter(([key, hash]) => (before.lines.get(key) ?? hash) !== hash)
      .map(([key]) => `${key} is another line after the cut`),
    ...notASuffix([...before.lines.keys()], new Set(after.lines.keys())),
    ...Object.entries(after.last)
      .filter(([stream, seq]) => seq > (before.last[stream] ?? 0))
      .map(([stream, seq]) => `${stream} ends with ${seq}, which was never written`),
    ...Object.entries(logged.last)
      .filter(([stream, seq]) => stream.startsWith(`${host} `) && seq > (after.last[stream] ?? 0))
      .map(([stream, seq]) => `${stream} is known up to ${seq}, and ends before that`),
  ];
  return { lines: gone.length, faults, seen, damage: damageOf(cut.after) };
}

/** What is left must be a beginning of what there was. */
function notASuffix(before: readonly string[], after: ReadonlySet<string>): readonly string[] {
  const firstGone = before.findIndex((key) => !after.has(key));
  if (firstGone === -1) return [];
  return before
    .slice(firstGone)
    .filter((key) => after.has(key))
    .map((key) => `${key} is there, and ${before[firstGone]} before it is lost`);
}

/** A control plane loses nothing; where the cut tears its last commit, that one and no other. */
export function logLoss(cut: Cut, within: boolean): Loss {
  const before = segmentsIn(cut.before);
  const after = segmentsIn(cut.after);
  const gone = before.slice(after.length);
  const isBeginning = after.every(({ hash }, index) => hash === before[index]?.hash);
  return {
    lines: gone.reduce((sum, { count }) => sum + count, 0),
    faults: [
      ...(isBeginning ? [] : ["the log is no beginning of what it was"]),
      ...(gone.length > (within ? 1 : 0) ? [`${gone.length} commits are lost`] : []),
    ],
    seen: new Map(),
    damage: unclean(cut.after),
  };
}

interface Segment {
  readonly hash: string;
  readonly count: number;
}

function segmentsIn(database: string): readonly Segment[] {
  const db = openReadOnly(database);
  try {
    return db
      .prepare<[], Segment>("SELECT hash, count FROM log_segments ORDER BY first_offset")
      .all();
  } finally {
    db.close();
  }
}

/** `nixwave-cp check` on a copy: what it finds. */
export function unclean(database: string): readonly string[] {
  const db = openReadOnly(database);
  try {
    const checked = check(db);
    return isClean(checked) ? [] : sayChecked(checked);
  } finally {
    db.close();
  }
}
