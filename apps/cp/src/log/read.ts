import type { HostName, Offset, RolloutId, Sha256 } from "@nixwave/effects";
import { type LogLine, offset as offsetSchema, sha256Text, storedLogLine } from "@nixwave/protocol";
import { z } from "zod";
import type { Connection } from "../store/database.ts";
import type { LogFilter, LogPage } from "../store/reader.ts";
import { namesOf } from "./names.ts";
import { offsetAfter } from "./segment.ts";

export interface StoredSegment {
  readonly firstOffset: Offset;
  readonly count: number;
  readonly version: number;
  readonly lines: string;
  readonly prevHash: Sha256;
  readonly hash: Sha256;
}

const segmentRow = z
  .object({
    first_offset: offsetSchema,
    count: z.int(),
    version: z.int(),
    lines: z.string(),
    prev_hash: sha256Text,
    hash: sha256Text,
  })
  .transform((row) => ({
    firstOffset: row.first_offset,
    count: row.count,
    version: row.version,
    lines: row.lines,
    prevHash: row.prev_hash,
    hash: row.hash,
  }));

/** Decodes a stored line; one that this version does not know stops whoever reads, it is never passed over. */
export const parseLine = (text: string): LogLine => storedLogLine.parse(JSON.parse(text));

/** The texts of a segment, without their newlines. */
export const textsOf = ({ lines }: { readonly lines: string }): readonly string[] =>
  lines.split("\n").slice(0, -1);

/** Segment after segment, from the one that holds `from`; one at a time in memory. */
export function* segmentsFrom(db: Connection, from: Offset): Generator<StoredSegment> {
  const next = db.prepare(
    "SELECT * FROM log_segments WHERE first_offset + count > ? AND first_offset >= ? ORDER BY first_offset LIMIT 1",
  );
  const first = db
    .prepare(
      "SELECT first_offset FROM log_segments WHERE first_offset <= ? ORDER BY first_offset DESC LIMIT 1",
    )
    .pluck()
    .get(from);
  let at = typeof first === "number" ? first : from;
  let past: number = from;
  for (;;) {
    const row = next.get(past, at);
    if (row === undefined) return;
    const segment = segmentRow.parse(row);
    yield segment;
    past = segment.firstOffset + segment.count;
    at = past;
  }
}

/** One page of the log. By host or rollout it goes by the index; a kind alone is looked for in every line. */
export function readLog(
  db: Connection,
  filter: LogFilter,
  { from, limit }: { readonly from: Offset; readonly limit: number },
): LogPage {
  const lines: { readonly offset: Offset; readonly line: string }[] = [];
  let next = from;
  for (const { firstOffset, texts } of stretches(db, filter, from)) {
    for (const [place, text] of texts.entries()) {
      const offset = offsetAfter(firstOffset, place);
      if (offset < next) continue;
      if (lines.length >= limit) return { lines, next: offset, more: true };
      next = offsetAfter(offset, 1);
      if (matches(filter, text)) lines.push({ offset, line: text });
    }
  }
  return { lines, next: endOf(db, next), more: false };
}

interface Stretch {
  readonly firstOffset: Offset;
  readonly texts: readonly string[];
}

function* stretches(db: Connection, filter: LogFilter, from: Offset): Generator<Stretch> {
  if (filter.host === undefined && filter.rolloutId === undefined) {
    for (const segment of segmentsFrom(db, from))
      yield { firstOffset: segment.firstOffset, texts: textsOf(segment) };
    return;
  }
  let seen = -1;
  for (const first of indexed(db, filter, from)) {
    const [segment] = take(segmentsFrom(db, first), 1);
    if (segment === undefined || segment.firstOffset === seen) continue;
    seen = segment.firstOffset;
    yield { firstOffset: segment.firstOffset, texts: textsOf(segment) };
  }
}

function take<T>(from: Iterable<T>, count: number): readonly T[] {
  const taken: T[] = [];
  for (const each of from) {
    taken.push(each);
    if (taken.length >= count) break;
  }
  return taken;
}

/** Of each segment that has lines of this host or rollout, the first one's offset. */
function* indexed(db: Connection, filter: LogFilter, from: Offset): Generator<Offset> {
  const id = (name: HostName | RolloutId | undefined): unknown =>
    name === undefined
      ? null
      : (db.prepare("SELECT id FROM log_names WHERE name = ?").pluck().get(name) ?? -1);
  const host = id(filter.host);
  const rollout = id(filter.rolloutId);
  const where = [
    ...(host === null ? [] : ["host = @host"]),
    ...(rollout === null ? [] : ["rollout = @rollout"]),
    "last_offset >= @from",
  ];
  const rows = db
    .prepare(
      `SELECT first_offset FROM log_index WHERE ${where.join(" AND ")} ORDER BY first_offset`,
    )
    .pluck()
    .iterate({ host, rollout, from });
  // Read to the end first: the caller runs other statements on this connection between two of them.
  yield* [...rows].map((row) => offsetSchema.parse(row));
}

function matches(filter: LogFilter, text: string): boolean {
  if (Object.keys(filter).length === 0) return true;
  const line = parseLine(text);
  const names = namesOf(line);
  return (
    (filter.host === undefined || names.host === filter.host) &&
    (filter.rolloutId === undefined || names.rolloutId === filter.rolloutId) &&
    (filter.kind === undefined || line.kind === filter.kind)
  );
}

function endOf(db: Connection, atLeast: Offset): Offset {
  const end = db
    .prepare("SELECT first_offset + count FROM log_segments ORDER BY first_offset DESC LIMIT 1")
    .pluck()
    .get();
  const next = offsetSchema.parse(end ?? 0);
  return next > atLeast ? next : atLeast;
}
