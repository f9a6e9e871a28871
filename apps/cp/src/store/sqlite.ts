import { invariant, isOffset, type Offset, type Sha256 } from "@nixwave/effects";
import { sha256Text } from "@nixwave/protocol";
import { SqliteError } from "better-sqlite3";
import { z } from "zod";
import type { IndexRow, SegmentRow } from "../log/segment.ts";
import type { Crash } from "../ports.ts";
import type { Batch } from "./change.ts";
import type { Connection } from "./database.ts";
import { load } from "./load.ts";
import { type Prepare, preparing, writeChange, writeObservation } from "./rows.ts";
import type { Store } from "./store.ts";

/** Stands for "no host" and "no rollout" in the index; names are interned from 1. */
const NO_NAME = 0;

/** The store of one process over one SQLite database. The connection is the writer's alone. */
export function sqliteStore(db: Connection, { crash }: { readonly crash: Crash }): Store {
  const sql = preparing(db);
  const names = internedNames(db, sql);
  const write = db.transaction((batch: Batch) => {
    if (batch.segment !== null) writeSegment(sql, batch.segment, (name) => names.id(name));
    crash.point("inside-commit");
    for (const change of batch.changes) writeChange(sql, change);
    for (const observation of batch.observations) writeObservation(sql, observation);
  });
  return {
    place: db.name,
    // The port is a promise; this store happens to be quick.
    async commit(batch) {
      try {
        write.immediate(batch);
        names.keep();
      } catch (cause) {
        names.forget();
        invariant(!isConstraint(cause), `rows fit their tables: ${String(cause)}`);
        throw cause;
      }
    },
    load: () => Promise.resolve().then(() => load(db)),
    hashEndingAt: (offsets) => Promise.resolve().then(() => hashesEndingAt(sql, offsets)),
  };
}

/** A row that the schema refuses is our mistake, not the disk's; a person who is told to free space would look in vain. */
const isConstraint = (cause: unknown): boolean =>
  cause instanceof SqliteError && cause.code.startsWith("SQLITE_CONSTRAINT");

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

const hashRow = z.object({ hash: sha256Text });

function hashesEndingAt(sql: Prepare, offsets: readonly Offset[]): ReadonlyMap<Offset, Sha256> {
  const found = new Map<Offset, Sha256>();
  for (const end of new Set(offsets)) {
    const row = sql(
      `SELECT hash FROM (SELECT hash, first_offset + count - 1 AS last FROM log_segments
        WHERE first_offset <= ? ORDER BY first_offset DESC LIMIT 1) WHERE last = ?`,
    ).get(end, end);
    if (row !== undefined && isOffset(end)) found.set(end, hashRow.parse(row).hash);
  }
  return found;
}
