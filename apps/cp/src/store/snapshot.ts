import { createHash } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import {
  type Instant,
  invariant,
  isInstant,
  isSha256,
  type Offset,
  type Sha256,
} from "@nixwave/effects";
import { offset as offsetSchema } from "@nixwave/protocol";
import { z } from "zod";
import { REDUCERS_VERSION } from "../log/segment.ts";
import type { Batch } from "./change.ts";
import type { Connection } from "./database.ts";
import { type Prepare, preparing } from "./rows.ts";
import { DERIVED_TABLE_NAMES, DERIVED_TABLES, type DerivedTable } from "./schema.ts";

/** The derived tables at one instant, as plain data. */
export interface Snapshot {
  /** Over the names and rows of all of them, uncompressed: what a line of the kind Checkpoint says. */
  readonly sha256: Sha256;
  /** Rows as NDJSON, in the order of their keys, compressed. */
  readonly tables: readonly { readonly table: DerivedTable; readonly lines: Uint8Array }[];
}

const row = z.record(z.string(), z.union([z.string(), z.number(), z.null()]));
type Row = z.output<typeof row>;

export function takeSnapshot(db: Connection): Snapshot {
  const hash = createHash("sha256");
  const tables = DERIVED_TABLE_NAMES.map((table) => {
    const text = Buffer.from(textOf(db, table));
    hash.update(`${table} ${text.length}\n`).update(text);
    return { table, lines: zstdCompressSync(text) };
  });
  const sha256 = hash.digest("hex");
  invariant(isSha256(sha256), "a SHA-256 in hex has 64 digits");
  return { sha256, tables };
}

function textOf(db: Connection, table: DerivedTable): string {
  const lines: string[] = [];
  const rows = db
    .prepare(`SELECT * FROM ${table} ORDER BY ${DERIVED_TABLES[table].key.join(", ")}`)
    .iterate();
  for (const each of rows) lines.push(`${JSON.stringify(each)}\n`);
  return lines.join("");
}

/** Beside the segment whose first line is its Checkpoint, in the same transaction. */
export function writeCheckpoint(sql: Prepare, { segment, checkpoint }: Batch): void {
  if (checkpoint === null) return;
  invariant(segment !== null, "a checkpoint has a line");
  const { at, snapshot } = checkpoint;
  const { firstOffset } = segment;
  sql("INSERT INTO checkpoints (offset, at, version) VALUES (?, ?, ?)").run(
    firstOffset,
    at,
    REDUCERS_VERSION,
  );
  for (const { table, lines } of snapshot.tables)
    sql("INSERT INTO checkpoint_tables (offset, name, lines) VALUES (?, ?, ?)").run(
      firstOffset,
      table,
      lines,
    );
}

/** A checkpoint before the log's beginning begins nothing any more. */
export function dropCheckpoints(sql: Prepare, before: Offset): void {
  sql("DELETE FROM checkpoints WHERE offset < ?").run(before);
  sql("DELETE FROM checkpoint_tables WHERE offset < ?").run(before);
}

export interface StoredCheckpoint {
  readonly offset: Offset;
  readonly at: Instant;
  readonly version: number;
}

const checkpointRow = z.object({
  offset: offsetSchema,
  at: z.number().refine(isInstant),
  version: z.int(),
});

/** The oldest first. */
export const checkpointsOf = (db: Connection): readonly StoredCheckpoint[] =>
  z
    .array(checkpointRow)
    .parse(db.prepare("SELECT offset, at, version FROM checkpoints ORDER BY offset").all());

const tableRow = z.object({ name: z.enum(DERIVED_TABLE_NAMES), lines: z.instanceof(Uint8Array) });

/** Puts the rows of a checkpoint of `from` into the empty derived tables of `to`. */
export function restoreSnapshot(from: Connection, offset: Offset, to: Connection): void {
  const stored = z
    .array(tableRow)
    .parse(from.prepare("SELECT name, lines FROM checkpoint_tables WHERE offset = ?").all(offset));
  const sql = preparing(to);
  for (const { name, lines } of stored)
    for (const text of zstdDecompressSync(lines).toString("utf8").split("\n").slice(0, -1))
      insert(sql, name, row.parse(JSON.parse(text)));
}

/** The rows of all derived tables, into empty ones. */
export function copyDerived(from: Connection, to: Connection): void {
  const sql = preparing(to);
  for (const table of DERIVED_TABLE_NAMES)
    for (const each of from.prepare(`SELECT * FROM ${table}`).iterate())
      insert(sql, table, row.parse(each));
}

function insert(sql: Prepare, table: DerivedTable, values: Row): void {
  const columns = Object.keys(values);
  const places = columns.map(() => "?").join(", ");
  sql(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places})`).run(
    ...Object.values(values),
  );
}
