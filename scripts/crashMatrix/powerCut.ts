import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import type { Random } from "./places.ts";

/** What a power cut has left of a database, and what there was before it. */
export interface Cut {
  /** Bytes of the log that were written after the last sync, and how many of them had come to the disk. */
  readonly written: number;
  readonly kept: number;
  /** Copies, to be read at leisure: as it was synced last, as the process had left it, and as the power cut leaves it. */
  readonly synced: string;
  readonly before: string;
  readonly after: string;
}

interface Pair {
  readonly db: Buffer;
  readonly wal: Buffer;
}

interface CutOptions {
  /** Where NIXWAVE_SYNC_COPY has the copies. */
  readonly copies: string;
  /** The power went while the last commit was being written. */
  readonly within: boolean;
  readonly random: Random;
  /** Gets the copies to be read. */
  readonly scratch: string;
}

/**
 * The process is dead; now the power goes. Its database is replaced by what was synced last, and of the log's bytes that were
 * written later a random beginning is kept, as often as not with half a frame at its end.
 */
export function cutPower(database: string, options: CutOptions): Cut {
  const { copies, within, random, scratch } = options;
  const now = readPair(database, `${database}-wal`);
  const base = syncedPair(copies, now, within);
  const [from, to] = laterBytes(base, now, within);
  const kept = random(to - from + 1);
  const wal = Buffer.alloc(Math.max(base.wal.length, kept === 0 ? 0 : from + kept));
  base.wal.copy(wal);
  now.wal.copy(wal, from, from, from + kept);
  const left: Pair = { db: base.db, wal };
  writePair(database, left);
  // Whatever was copied until now is past: what is there now is what the disk has.
  rmSync(copies, { recursive: true });
  const keep = (name: string, pair: Pair): string => {
    mkdirSync(join(scratch, name), { recursive: true });
    const path = join(scratch, name, basename(database));
    writePair(path, pair);
    return path;
  };
  return {
    written: to - from,
    kept,
    synced: keep("synced", base),
    before: keep("before", now),
    after: keep("after", left),
  };
}

function syncedPair(copies: string, now: Pair, within: boolean): Pair {
  const [newest, previous] = readdirSync(copies)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => b - a)
    .map((number) => readPair(join(copies, `${number}`, "db"), join(copies, `${number}`, "wal")));
  if (newest === undefined) throw new Error(`${copies} has no copy: nothing was ever synced`);
  // Where the last commit was not synced it is among the later bytes anyway.
  if (!within || !newest.wal.equals(now.wal)) return newest;
  if (previous === undefined) throw new Error(`${copies} has one copy: expected two commits`);
  return previous;
}

/**
 * From the first byte to the last that is not as it was synced. The log is written from front to back, so the bytes between were
 * written in this order, or are what they were before.
 */
function laterBytes(base: Pair, now: Pair, within: boolean): readonly [from: number, to: number] {
  if (!within && !base.db.equals(now.db))
    throw new Error("the database was written to by a checkpoint that was not copied");
  const length = Math.max(base.wal.length, now.wal.length);
  const from = sameBytes(base.wal, now.wal);
  let to = length;
  while (to > from && base.wal[to - 1] === now.wal[to - 1]) to -= 1;
  return [from, to];
}

/** Logs are long and mostly alike: the services of the fleet's hosts run in this process, and must not wait. */
const STRIDE = 4096;

function sameBytes(one: Buffer, other: Buffer): number {
  let at = 0;
  while (
    at + STRIDE <= one.length &&
    at + STRIDE <= other.length &&
    one.compare(other, at, at + STRIDE, at, at + STRIDE) === 0
  )
    at += STRIDE;
  while (at < one.length && one[at] === other[at]) at += 1;
  return at;
}

function readPair(db: string, wal: string): Pair {
  return {
    db: readFileSync(db),
    wal: existsSync(wal) ? readFileSync(wal) : Buffer.alloc(0),
  };
}

/** The shared memory is gone with the power. */
function writePair(database: string, { db, wal }: Pair): void {
  writeFileSync(database, db);
  writeFileSync(`${database}-wal`, wal);
  rmSync(`${database}-shm`, { force: true });
}

/** A copy of a database as it is, to be read at leisure. */
export function copyDatabase(database: string, scratch: string): string {
  mkdirSync(scratch, { recursive: true });
  const path = join(scratch, basename(database));
  copyFileSync(database, path);
  if (existsSync(`${database}-wal`)) copyFileSync(`${database}-wal`, `${path}-wal`);
  return path;
}
