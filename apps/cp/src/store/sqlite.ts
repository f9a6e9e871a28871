import { invariant, isOffset, type Offset, type Sha256 } from "@nixwave/effects";
import { sha256Text } from "@nixwave/protocol";
import { SqliteError } from "better-sqlite3";
import { z } from "zod";
import { sqliteLog } from "../log/sqliteLog.ts";
import type { Crash } from "../ports.ts";
import type { Batch } from "./change.ts";
import type { Connection } from "./database.ts";
import { load } from "./load.ts";
import { type Prepare, preparing, writeChange, writeObservation } from "./rows.ts";
import { dropCheckpoints, takeSnapshot, writeCheckpoint } from "./snapshot.ts";
import type { KnownHeads, Store } from "./store.ts";

/** The store of one process over one SQLite database. The connection is the writer's alone. */
export function sqliteStore(db: Connection, { crash }: { readonly crash: Crash }): Store {
  const sql = preparing(db);
  const log = sqliteLog(db);
  const write = db.transaction((batch: Batch) => {
    if (batch.segment !== null) log.append(batch.segment);
    writeCheckpoint(sql, batch);
    crash.point("inside-commit");
    for (const change of batch.changes) writeChange(sql, change);
    for (const observation of batch.observations) writeObservation(sql, observation);
    if (batch.dropBefore !== null) {
      log.dropBefore(batch.dropBefore);
      dropCheckpoints(sql, batch.dropBefore);
    }
  });
  return {
    place: db.name,
    // The port is a promise; this store happens to be quick.
    async commit(batch) {
      try {
        write.immediate(batch);
        log.ended("committed");
      } catch (cause) {
        log.ended("undone");
        invariant(!isConstraint(cause), `rows fit their tables: ${String(cause)}`);
        throw cause;
      }
    },
    load: () => Promise.resolve().then(() => load(db)),
    hashEndingAt: (offsets) =>
      Promise.resolve().then(() => hashesEndingAt(sql, offsets, log.beginsAt())),
    snapshot: () => Promise.resolve().then(() => takeSnapshot(db)),
  };
}

/** A row that the schema refuses is our mistake, not the disk's; a person who is told to free space would look in vain. */
const isConstraint = (cause: unknown): boolean =>
  cause instanceof SqliteError && cause.code.startsWith("SQLITE_CONSTRAINT");

const hashRow = z.object({ hash: sha256Text });

function hashesEndingAt(sql: Prepare, offsets: readonly Offset[], beginsAt: Offset): KnownHeads {
  const found = new Map<Offset, Sha256 | "archived">();
  for (const end of new Set(offsets)) {
    if (end < beginsAt) {
      found.set(end, "archived");
      continue;
    }
    const row = sql(
      `SELECT hash FROM (SELECT hash, first_offset + count - 1 AS last FROM log_segments
        WHERE first_offset <= ? ORDER BY first_offset DESC LIMIT 1) WHERE last = ?`,
    ).get(end, end);
    if (row !== undefined && isOffset(end)) found.set(end, hashRow.parse(row).hash);
  }
  return found;
}
