import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import Database from "better-sqlite3";
import { APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION } from "./schema.ts";

export type Connection = Database.Database;

/** A database that can't be used; the message is one sentence that names the file and says what to do. */
export class DatabaseUnusable extends Error {
  override readonly name = "DatabaseUnusable";
}

/** A writer waits so long for another connection's checkpoint before it takes the disk for broken. */
const BUSY_TIMEOUT_MS = 5000;
/** Copies from before a migration that are kept: two versions, as far as anyone may roll back. */
const COPIES_KEPT = 2;

export const databasePath = (dataDir: string): string => join(dataDir, "cp.db");

/**
 * Makes the database of a new fleet; refuses to touch what is there. It gets its name only when it is whole, `prepare` included:
 * a kill in between leaves no half-made database behind that looks like one.
 */
export function createDatabase(
  path: string,
  prepare: (db: Connection) => void = () => undefined,
): void {
  if (existsSync(path))
    throw new DatabaseUnusable(`${path} is there already: it was left as it is.`);
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  const db = new Database(partial);
  try {
    // Not in WAL mode yet: one file is renamed, and it is all there is.
    db.pragma("synchronous = FULL");
    db.pragma(`application_id = ${APPLICATION_ID}`);
    migrate(db, partial);
    prepare(db);
  } finally {
    db.close();
  }
  putInPlace(partial, path);
}

/** After a power cut either the old state is there or the whole new file, never a part of it. */
export function putInPlace(partial: string, path: string): void {
  fsync(partial);
  renameSync(partial, path);
  fsync(dirname(path));
}

function fsync(path: string): void {
  const handle = openSync(path, "r");
  fsyncSync(handle);
  closeSync(handle);
}

/** A database in memory with every table and no row, to fold into. */
export function emptyDatabase(): Connection {
  const db = new Database(":memory:");
  for (const step of MIGRATIONS) db.exec(step);
  return db;
}

/** Opens the writer's connection, after the migrations that this version brings. Never makes a database. */
export function openDatabase(path: string): Connection {
  const db = openExisting(path, { readonly: false });
  settle(db);
  migrate(db, path);
  return db;
}

/** A second connection that can only read: views never wait for the writer, and it never waits for them. */
export function openReadOnly(path: string): Connection {
  const db = openExisting(path, { readonly: true });
  db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return db;
}

function openExisting(path: string, options: { readonly readonly: boolean }): Connection {
  if (!existsSync(path))
    throw new DatabaseUnusable(
      `There is no database at ${path}: make one with nixwave-cp init, or come back from a loss with nixwave-cp serve --recover.`,
    );
  let db: Connection | null = null;
  try {
    db = new Database(path, { ...options, fileMustExist: true });
    refuseForeign(db, path);
    return db;
  } catch (cause) {
    db?.close();
    if (cause instanceof DatabaseUnusable) throw cause;
    throw new DatabaseUnusable(
      `${path} can't be opened (${cause instanceof Error ? cause.message : String(cause)}): check the disk and its rights, or restore a backup.`,
      { cause },
    );
  }
}

function refuseForeign(db: Connection, path: string): void {
  if (db.pragma("application_id", { simple: true }) !== APPLICATION_ID)
    throw new DatabaseUnusable(
      `${path} is not a database of nixwave-cp: give the folder that nixwave-cp init has made.`,
    );
  const version = Number(db.pragma("user_version", { simple: true }));
  // The version after this one promises that this one can still read and write its database; nothing promises more.
  if (version > SCHEMA_VERSION + 1)
    throw new DatabaseUnusable(
      `${path} has schema version ${version}, and this nixwave-cp knows ${SCHEMA_VERSION}: start the newer nixwave-cp, or restore the copy from before its migration.`,
    );
}

/** FULL: an acknowledgement means that it is on disk, power cuts included. */
function settle(db: Connection): void {
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
}

function migrate(db: Connection, path: string): void {
  const from = Number(db.pragma("user_version", { simple: true }));
  if (from >= SCHEMA_VERSION) return;
  if (from > 0) keepCopy(db, path, from);
  db.transaction(() => {
    for (const step of MIGRATIONS.slice(from)) db.exec(step);
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
  }).immediate();
}

function keepCopy(db: Connection, path: string, version: number): void {
  const copy = `${path}.v${version}`;
  rmSync(copy, { force: true });
  db.prepare("VACUUM INTO ?").run(copy);
  const folder = dirname(path);
  for (const name of oldCopies(basename(path), readdirSync(folder), version))
    rmSync(join(folder, name));
}

/** Of the names in its folder, the copies of a database that the one from before this version's migration leaves nobody a use for. */
export const oldCopies = (
  database: string,
  names: readonly string[],
  version: number,
): readonly string[] =>
  names.filter((name) => {
    const [, of, copied] = /^(.*)\.v(\d+)$/.exec(name) ?? [];
    return of === database && Number(copied) <= version - COPIES_KEPT;
  });
