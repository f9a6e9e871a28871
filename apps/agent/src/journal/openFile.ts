import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import BetterSqlite3, { type Database } from "better-sqlite3";
import { migrate } from "./schema.ts";

/** A disk that is full or read-only: what was asked did not happen, and may be asked again when there is space. */
export class JournalUnwritable extends Error {
  override readonly name = "JournalUnwritable";
}

export interface OpenedFile {
  readonly db: Database;
  readonly path: string;
  /** Where a corrupt file was moved to, or null. */
  readonly setAside: string | null;
}

const BUSY_TIMEOUT_MS = 5000;
const WAL_PAGES_MAX = 1000;

/**
 * Opens `<stateDir>/agent.db`, made if it is missing. A corrupt file is set aside, never deleted, and an empty one takes
 * its place. Throws JournalUnwritable where the disk refuses, with the path.
 */
export function openJournalFile(stateDir: string, now: () => number): OpenedFile {
  const path = join(stateDir, "agent.db");
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const db = tryOpen(path);
    if (db !== null) return { db, path, setAside: null };
    const setAside = `${path}.corrupt-${now()}`;
    // The log belongs to the file: left behind, it would be replayed into the new one.
    for (const suffix of ["", "-wal", "-shm"])
      if (existsSync(path + suffix)) renameSync(path + suffix, setAside + suffix);
    const fresh = tryOpen(path);
    if (fresh === null) throw new Error(`${path} is corrupt right after it was made`);
    return { db: fresh, path, setAside };
  } catch (error) {
    throw isDiskRefusal(error) ? unwritable(path, error) : error;
  }
}

/** Null where the file is no database, or a damaged one. */
function tryOpen(path: string): Database | null {
  let db: Database | null = null;
  try {
    db = new BetterSqlite3(path, { timeout: BUSY_TIMEOUT_MS });
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    db.pragma(`wal_autocheckpoint = ${WAL_PAGES_MAX}`);
    if (db.pragma("quick_check", { simple: true }) !== "ok") {
      db.close();
      return null;
    }
    migrate(db);
    return db;
  } catch (error) {
    db?.close();
    if (isCorruption(error)) return null;
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}

const isCorruption = (error: unknown): boolean => /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));

/** Whether the disk refused: full, read-only, an error of its own. */
export const isDiskRefusal = (error: unknown): boolean =>
  error instanceof JournalUnwritable ||
  /^(SQLITE_(FULL|READONLY|IOERR|CANTOPEN)|ENOSPC|EROFS|EACCES|EPERM|EDQUOT|EIO|ENOTDIR)/.test(
    codeOf(error),
  );

export const unwritable = (path: string, cause: unknown): JournalUnwritable =>
  new JournalUnwritable(
    `The journal ${path} can't be written (${cause instanceof Error ? cause.message : String(cause)}). Free space there or make it writable; the agent goes on by itself then.`,
    { cause },
  );
