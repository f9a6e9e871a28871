import { type HostName, invariant, type Offset, type RolloutId } from "@nixwave/effects";
import { offset as offsetSchema, sha256Text } from "@nixwave/protocol";
import { z } from "zod";
import type { Connection } from "../store/database.ts";
import { type Prepare, preparing } from "../store/rows.ts";
import type { EventLog, LogFilter, LogPage, StoredSegment } from "./eventLog.ts";
import { matches, textsOf } from "./read.ts";
import { GENESIS, type IndexRow, offsetAfter, type SegmentRow } from "./segment.ts";

/** Stands for "no host" and "no rollout" in the index; names are interned from 1. */
const NO_NAME = 0;

/** The log in a database, beside the rows that follow from it. On a connection that can only read, it can only be read. */
export function sqliteLog(db: Connection): EventLog {
  const sql = preparing(db);
  let names: ReturnType<typeof internedNames> | null = null;
  return {
    append(segment) {
      refuseStranger(sql, segment);
      const interned = names ?? internedNames(db, sql);
      names = interned;
      writeSegment(sql, segment, (name) => interned.id(name));
      return segment.firstOffset;
    },
    read: (filter, page) => readLog(db, filter, page),
    segments: (from) => segmentsFrom(db, from),
    beginsAt: () => beginOf(db),
    dropBefore(offset) {
      sql("DELETE FROM log_segments WHERE first_offset < ?").run(offset);
      sql("DELETE FROM log_index WHERE first_offset < ?").run(offset);
    },
    ended(how) {
      if (how === "committed") names?.keep();
      else names?.forget();
    },
  };
}

/** Two writers, or a head in memory that is not the disk's, would fork the chain: our mistake, and nothing is written. */
function refuseStranger(sql: Prepare, { firstOffset, prevHash }: SegmentRow): void {
  const row = sql(
    "SELECT first_offset + count AS next, hash FROM log_segments ORDER BY first_offset DESC LIMIT 1",
  ).get();
  const head = row === undefined ? null : headRow.parse(row);
  invariant(
    (head?.next ?? 0) === firstOffset && (head?.hash ?? GENESIS) === prevHash,
    `the segment at ${firstOffset} continues the log, whose next line is ${head?.next ?? 0}`,
  );
}

const headRow = z.object({ next: z.int(), hash: sha256Text });

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

/** Segment after segment, from the one that holds `from`; one at a time in memory. */
function* segmentsFrom(db: Connection, from: Offset): Generator<StoredSegment> {
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

function readLog(
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

function endOf(db: Connection, atLeast: Offset): Offset {
  const end = db
    .prepare("SELECT first_offset + count FROM log_segments ORDER BY first_offset DESC LIMIT 1")
    .pluck()
    .get();
  const next = offsetSchema.parse(end ?? 0);
  return next > atLeast ? next : atLeast;
}

function beginOf(db: Connection): Offset {
  const first = db
    .prepare("SELECT first_offset FROM log_segments ORDER BY first_offset LIMIT 1")
    .pluck()
    .get();
  return offsetSchema.parse(first ?? 0);
}

function writeSegment(sql: Prepare, segment: SegmentRow, id: (name: string) => number): void {
  sql(
    "INSERT INTO log_segments (first_offset, count, version, lines, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?)",
  ).run(
    segment.firstOffset,
    segment.count,
    segment.version,
    segment.lines,
    segment.prevHash,
    segment.hash,
  );
  for (const row of segment.index) writeIndex(sql, row, id);
}

function writeIndex(sql: Prepare, row: IndexRow, id: (name: string) => number): void {
  sql("INSERT INTO log_index (host, rollout, first_offset, last_offset) VALUES (?, ?, ?, ?)").run(
    row.host === null ? NO_NAME : id(row.host),
    row.rolloutId === null ? NO_NAME : id(row.rolloutId),
    row.firstOffset,
    row.lastOffset,
  );
}

/** Names get their id once; those of a transaction that failed are forgotten with it. */
function internedNames(db: Connection, sql: Prepare) {
  const row = z.object({ id: z.int(), name: z.string() });
  const kept = new Map<string, number>();
  const fresh = new Map<string, number>();
  for (const each of db.prepare("SELECT id, name FROM log_names").iterate()) {
    const { id, name } = row.parse(each);
    kept.set(name, id);
  }
  return {
    id(name: string): number {
      const known = kept.get(name) ?? fresh.get(name);
      if (known !== undefined) return known;
      const { lastInsertRowid } = sql("INSERT INTO log_names (name) VALUES (?)").run(name);
      const made = Number(lastInsertRowid);
      fresh.set(name, made);
      return made;
    },
    keep() {
      for (const [name, id] of fresh) kept.set(name, id);
      fresh.clear();
    },
    forget() {
      fresh.clear();
    },
  };
}
