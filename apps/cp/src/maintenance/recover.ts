import { existsSync, mkdirSync } from "node:fs";
import type { Channel, Instant } from "@nixwave/effects";
import { type Connection, createDatabase, databasePath, openDatabase } from "../store/database.ts";
import { loadHead } from "../store/load.ts";
import { preparing, writeObservation } from "../store/rows.ts";
import { markNoncesSince, nextSecond } from "./noncesSince.ts";

/**
 * `serve --recover`, before the writer is made: an empty database with the gate `replay` closed on every channel that the repository
 * has, so that nobody is dispatched to before the hosts were heard and replayed. A database that has a log is left as it is: that is
 * a recovery under way, started again.
 */
export function recover(
  dataDir: string,
  { channels, now }: { readonly channels: readonly Channel[]; readonly now: Instant },
): { readonly path: string; readonly began: boolean } {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = databasePath(dataDir);
  if (!existsSync(path)) {
    createDatabase(path, (db) => {
      markNoncesSince(db, nextSecond(now));
      closeReplayGates(db, channels, now);
    });
    return { path, began: true };
  }
  const db = openDatabase(path);
  try {
    const began = loadHead(db).last === null;
    if (began) closeReplayGates(db, channels, now);
    return { path, began };
  } finally {
    db.close();
  }
}

/** The gate is stored, so that a restart in the middle of a recovery does not open it. */
export function closeReplayGates(
  db: Connection,
  channels: readonly Channel[],
  since: Instant,
): void {
  const sql = preparing(db);
  db.transaction(() => {
    for (const channel of channels)
      writeObservation(sql, { kind: "ReplayGateSet", channel, since });
  }).immediate();
}
