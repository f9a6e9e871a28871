import type { Database } from "better-sqlite3";

/**
 * Written by version N, read by N−1: a rollback also rolls the agent back. So a migration only ever adds tables and
 * columns with defaults, and a higher number than ours is no error.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE known_good (closure TEXT NOT NULL UNIQUE, position INTEGER PRIMARY KEY AUTOINCREMENT) STRICT;

  CREATE TABLE host_rollouts (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    rollout_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    record TEXT NOT NULL,
    -- Past Pending and unsettled: at most one row.
    in_force INTEGER NOT NULL,
    -- The order of acknowledgements, null before the first.
    acked_order INTEGER,
    -- The hash of the stream's last line, which the next line names as its prev.
    last_hash TEXT,
    -- Whether every line of the stream is still in the outbox, so that it can be replayed from 1.
    kept_whole INTEGER NOT NULL DEFAULT 1
  ) STRICT;

  CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    rollout_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    line TEXT NOT NULL,
    hash TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,
    acked INTEGER NOT NULL DEFAULT 0,
    refused TEXT,
    UNIQUE (rollout_id, seq)
  ) STRICT;
  CREATE INDEX outbox_open ON outbox (position) WHERE acked = 0;

  CREATE TABLE transitions (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    rollout_id TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;

  -- The files of the last verified release, as received.
  CREATE TABLE release_files (
    path TEXT PRIMARY KEY,
    rollout_id TEXT NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
];

/** Brings the file to this version's schema. Idempotent; each step is one transaction with its number. */
export function migrate(db: Database): void {
  const row: unknown = db.pragma("user_version", { simple: true });
  const found = typeof row === "number" ? row : 0;
  for (const [index, sql] of MIGRATIONS.entries()) {
    const version = index + 1;
    if (version <= found) continue;
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${version}`);
    })();
  }
}
