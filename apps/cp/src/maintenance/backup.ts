import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import type { Instant } from "@nixwave/effects";
import Database from "better-sqlite3";
import {
  DatabaseUnusable,
  databasePath,
  openDatabase,
  openReadOnly,
  putInPlace,
} from "../store/database.ts";
import { loadReleases } from "../store/load.ts";
import { chainBreaks } from "./foldLog.ts";
import { markNoncesSince, nextSecond } from "./noncesSince.ts";
import { closeReplayGates } from "./recover.ts";

/** `nixwave-cp backup FILE`: one consistent state, while the control plane goes on. The file is there only when it is whole. */
export function backup(dataDir: string, file: string): { readonly path: string } {
  if (existsSync(file)) throw new DatabaseUnusable(`${file} is there already: name another file.`);
  const partial = `${file}.partial`;
  rmSync(partial, { force: true });
  const db = openReadOnly(databasePath(dataDir));
  try {
    db.prepare("VACUUM INTO ?").run(partial);
  } finally {
    db.close();
  }
  putInPlace(partial, file);
  return { path: file };
}

/**
 * `nixwave-cp restore FILE`: the backup becomes the database, with the gate `replay` closed on all its channels: what was dispatched since is
 * not known here, so the hosts are heard first. The plan cancels restored dispatches because of the gate, and waits their leases out.
 */
export function restore(
  dataDir: string,
  file: string,
  now: Instant,
): { readonly path: string; readonly channels: number } {
  const path = databasePath(dataDir);
  if (existsSync(path))
    throw new DatabaseUnusable(
      `${path} is there: move it and its -wal away first, so that nothing is lost by a slip.`,
    );
  readable(file, () => verify(file));
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const partial = `${path}.partial`;
  try {
    copyFileSync(file, partial);
    const channels = readable(file, () => closeGates(partial, now));
    putInPlace(partial, path);
    return { path, channels };
  } catch (cause) {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${partial}${suffix}`, { force: true });
    throw cause;
  }
}

/** How many channels have a gate now. */
function closeGates(path: string, now: Instant): number {
  const db = openDatabase(path);
  try {
    const channels = [...new Set(loadReleases(db).map(({ channel }) => channel))];
    markNoncesSince(db, nextSecond(now));
    closeReplayGates(db, channels, now);
    db.pragma("wal_checkpoint(TRUNCATE)");
    return channels.length;
  } finally {
    db.close();
  }
}

/** Damage shows where it is read first: a header, the schema, a page, or a table that is not there. */
function readable<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof Database.SqliteError)) throw cause;
    throw new DatabaseUnusable(
      `${file} can't be restored (${cause.message}): look at the disk, or take another backup.`,
      {
        cause,
      },
    );
  }
}

function verify(file: string): void {
  const db = openReadOnly(file);
  try {
    const broken = chainBreaks(db)[0];
    if (broken !== undefined)
      throw new DatabaseUnusable(
        `${file}: the log's segment at offset ${broken.firstOffset} is not what was written (${broken.what}): take another backup.`,
      );
  } finally {
    db.close();
  }
}
