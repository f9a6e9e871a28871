import type { Offset } from "@nixwave/effects";
import { z } from "zod";
import { FIRST_OFFSET } from "../log/segment.ts";
import type { Connection } from "../store/database.ts";
import { DERIVED_TABLE_NAMES, DERIVED_TABLES, type DerivedTable } from "../store/schema.ts";
import { type ChainBreak, chainBreaks, foldLog } from "./foldLog.ts";

/** A row of which the fold of the log says something else, or nothing; `stored` and `folded` are its JSON, null where it is not. */
interface Difference {
  readonly table: DerivedTable;
  readonly key: string;
  readonly stored: string | null;
  readonly folded: string | null;
}

export interface Checked {
  readonly lines: number;
  /** Where the fold began; null where it did not. */
  readonly from: Offset | null;
  readonly chain: readonly ChainBreak[];
  readonly differences: readonly Difference[];
  readonly integrity: readonly string[];
}

/** One is enough to say that something is wrong, more help to see what; a table that is all wrong need not be printed whole. */
const DIFFERENCES_MAX = 100;

/**
 * `nixwave-cp check`: verifies the hash chain, folds the log into empty tables and compares them with the stored ones, byte for byte.
 * Changes nothing. Where the chain is broken it does not fold: what it would find follows from that.
 */
export function check(db: Connection): Checked {
  return db
    .transaction(() => {
      const integrity = integrityFaults(db);
      const chain = chainBreaks(db);
      if (chain.length > 0) return { lines: 0, from: null, chain, differences: [], integrity };
      const { lines, from, strange, tables } = foldLog(db);
      try {
        const differences = DERIVED_TABLE_NAMES.flatMap((table) => compare(db, tables, table));
        return {
          lines,
          from,
          chain: strange,
          differences: differences.slice(0, DIFFERENCES_MAX),
          integrity,
        };
      } finally {
        tables.close();
      }
    })
    .deferred();
}

export const isClean = ({ chain, differences, integrity }: Checked): boolean =>
  chain.length === 0 && differences.length === 0 && integrity.length === 0;

/** For people: one sentence per finding, with the place. */
export function sayChecked(checked: Checked): readonly string[] {
  if (isClean(checked))
    return [`clean: ${checked.lines} lines${sinceCheckpoint(checked)} fold into the stored tables`];
  return [
    ...checked.integrity.map((fault) => `database: ${fault}. Restore a backup.`),
    ...checked.chain.map(
      ({ firstOffset, what }) =>
        `log, segment at offset ${firstOffset}: ${what}. Restore a backup.`,
    ),
    ...checked.differences.map(
      ({ table, key, stored, folded }) =>
        `${table} ${key}: stored ${stored ?? "nothing"}, the log says ${folded ?? "nothing"}. nixwave-cp rebuild makes it what the log says.`,
    ),
  ];
}

/** Said where it is not the whole log. */
export const sinceCheckpoint = ({ from }: { readonly from: Offset | null }): string =>
  from === null || from === FIRST_OFFSET ? "" : ` from the checkpoint at offset ${from} on`;

const integrityFaults = (db: Connection): readonly string[] =>
  z
    .array(z.string())
    .parse(db.prepare("PRAGMA quick_check").pluck().all())
    .filter((line) => line !== "ok");

function compare(db: Connection, fresh: Connection, table: DerivedTable): readonly Difference[] {
  const stored = rowsByKey(db, table);
  const folded = rowsByKey(fresh, table);
  const keys = new Set([...stored.keys(), ...folded.keys()]);
  return [...keys]
    .filter((key) => stored.get(key) !== folded.get(key))
    .map((key) => ({
      table,
      key,
      stored: stored.get(key) ?? null,
      folded: folded.get(key) ?? null,
    }));
}

const row = z.record(z.string(), z.union([z.string(), z.number(), z.null()]));

function rowsByKey(db: Connection, table: DerivedTable): ReadonlyMap<string, string> {
  const { key } = DERIVED_TABLES[table];
  return new Map(
    db
      .prepare(`SELECT * FROM ${table}`)
      .all()
      .map((each) => {
        const values = row.parse(each);
        return [key.map((column) => String(values[column])).join(" "), JSON.stringify(values)];
      }),
  );
}
