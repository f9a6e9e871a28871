import { DISPATCH_STATES, HOST_STATES, ROLLOUT_STATES } from "@nixwave/effects";
import { ROLES } from "@nixwave/protocol";

/** A CHECK list made from a union of the code, so that database and code can't drift apart (hazard 75). */
const oneOf = (column: string, values: readonly string[]): string =>
  `CHECK (${column} IN (${values.map((value) => `'${value}'`).join(", ")}))`;

/** SQLite's own mark of a file's owner: "NXWV". */
export const APPLICATION_ID = 0x4e585756;

/**
 * The tables that are folded out of the log, each with its key. `rebuild` makes them anew, `check` compares them, and both go by this
 * list; `offset` is that of the line which last changed the row. Order matters to nobody.
 */
export const DERIVED_TABLES = {
  rollouts: {
    key: ["rollout_id"],
    columns: `rollout_id TEXT NOT NULL, channel TEXT NOT NULL, opened_at INTEGER NOT NULL,
      state TEXT NOT NULL ${oneOf("state", ROLLOUT_STATES)}, body TEXT NOT NULL, offset INTEGER NOT NULL`,
  },
  rollout_hosts: {
    key: ["rollout_id", "host"],
    columns:
      "rollout_id TEXT NOT NULL, host TEXT NOT NULL, body TEXT NOT NULL, offset INTEGER NOT NULL",
  },
  host_rollouts: {
    key: ["rollout_id", "host"],
    columns: `rollout_id TEXT NOT NULL, host TEXT NOT NULL, dispatched_at INTEGER NOT NULL,
      state TEXT NOT NULL ${oneOf("state", HOST_STATES)}, body TEXT NOT NULL, offset INTEGER NOT NULL`,
  },
  transitions: {
    key: ["offset"],
    columns: `offset INTEGER NOT NULL, host TEXT NOT NULL, rollout_id TEXT NOT NULL,
      from_state TEXT NOT NULL ${oneOf("from_state", HOST_STATES)},
      to_state TEXT NOT NULL ${oneOf("to_state", HOST_STATES)}, at INTEGER NOT NULL`,
  },
  quarantines: {
    key: ["channel", "closure"],
    columns:
      "channel TEXT NOT NULL, closure TEXT NOT NULL, since INTEGER NOT NULL, offset INTEGER NOT NULL",
  },
  dispatches: {
    key: ["host", "rollout_id", "attempt"],
    columns: `host TEXT NOT NULL, rollout_id TEXT NOT NULL, attempt INTEGER NOT NULL,
      state TEXT NOT NULL ${oneOf("state", DISPATCH_STATES)}, body TEXT NOT NULL, offset INTEGER NOT NULL`,
  },
  freezes: {
    key: ["freeze_id"],
    columns: "freeze_id TEXT NOT NULL, body TEXT NOT NULL, offset INTEGER NOT NULL",
  },
  streams: {
    key: ["host", "rollout_id"],
    columns: `host TEXT NOT NULL, rollout_id TEXT NOT NULL, journal_id TEXT NOT NULL,
      last_seq INTEGER NOT NULL, last_hash TEXT NOT NULL, offset INTEGER NOT NULL`,
  },
  gates: {
    key: ["rollout_id", "gate"],
    columns:
      "rollout_id TEXT NOT NULL, gate TEXT NOT NULL, since INTEGER NOT NULL, offset INTEGER NOT NULL",
  },
  channels: {
    key: ["channel"],
    columns: `channel TEXT NOT NULL, current TEXT, verified_at INTEGER, unverified_code TEXT, unverified_reason TEXT,
      unverified_since INTEGER, offset INTEGER NOT NULL`,
  },
} as const satisfies Record<string, { key: readonly string[]; columns: string }>;
export type DerivedTable = keyof typeof DERIVED_TABLES;
export const DERIVED_TABLE_NAMES = [
  "rollouts",
  "rollout_hosts",
  "host_rollouts",
  "transitions",
  "quarantines",
  "dispatches",
  "freezes",
  "streams",
  "gates",
  "channels",
] as const satisfies readonly DerivedTable[];

const derived = (table: DerivedTable): string => {
  const { key, columns } = DERIVED_TABLES[table];
  return `CREATE TABLE ${table} (${columns}, PRIMARY KEY (${key.join(", ")})) STRICT, WITHOUT ROWID;`;
};

const DERIVED_INDICES = `
CREATE INDEX rollouts_by_channel ON rollouts (channel, opened_at);
CREATE INDEX host_rollouts_by_host ON host_rollouts (host, dispatched_at);
CREATE INDEX transitions_by_host ON transitions (host, offset);
CREATE INDEX dispatches_open ON dispatches (state) WHERE state IN ('queued', 'handed-out');
`;

/** Canonical, append-only: one row and one SHA-256 per commit. Names are interned once: the index is the larger part of a small log. */
const LOG = `
CREATE TABLE log_segments (first_offset INTEGER PRIMARY KEY, count INTEGER NOT NULL, version INTEGER NOT NULL,
  lines TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE TABLE log_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE log_index (host INTEGER NOT NULL, rollout INTEGER NOT NULL, first_offset INTEGER NOT NULL,
  last_offset INTEGER NOT NULL, PRIMARY KEY (host, rollout, first_offset)) STRICT, WITHOUT ROWID;
CREATE INDEX log_index_by_rollout ON log_index (rollout, first_offset);
`;

/** Observed, verified or set by others: not in the log, so never rebuilt from it. */
const OBSERVED = `
CREATE TABLE hosts (host TEXT PRIMARY KEY, last_heard_at INTEGER NOT NULL, report TEXT, foreign_head TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE host_journals (host TEXT NOT NULL, journal_id TEXT NOT NULL, began_at INTEGER NOT NULL, place INTEGER NOT NULL,
  PRIMARY KEY (host, place), UNIQUE (host, journal_id)) STRICT, WITHOUT ROWID;
CREATE TABLE releases (rollout_id TEXT PRIMARY KEY, channel TEXT NOT NULL, created_at INTEGER NOT NULL, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE replay_gates (channel TEXT PRIMARY KEY, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE revocations (host TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
`;

/**
 * From where a fold can begin: the derived tables as they were at a line of the kind Checkpoint, each as NDJSON, compressed. The line has
 * their hash, so the chain vouches for them too.
 */
const CHECKPOINTS = `
CREATE TABLE checkpoints (offset INTEGER PRIMARY KEY, at INTEGER NOT NULL, version INTEGER NOT NULL) STRICT;
CREATE TABLE checkpoint_tables (offset INTEGER NOT NULL, name TEXT NOT NULL, lines BLOB NOT NULL, PRIMARY KEY (offset, name)) STRICT;
`;

/** Security records: what was given out and used up, and who may act. Never rebuilt, never in an answer but by their hashes. */
const IDENTITY = `
CREATE TABLE certificates (place INTEGER PRIMARY KEY, host TEXT NOT NULL, serial TEXT NOT NULL UNIQUE, der BLOB NOT NULL,
  request_digest TEXT NOT NULL, requested_at INTEGER, issued_at INTEGER NOT NULL, not_after INTEGER NOT NULL) STRICT;
CREATE INDEX certificates_by_host ON certificates (host, place);
CREATE TABLE nonces (nonce TEXT PRIMARY KEY, host TEXT NOT NULL, request_digest TEXT NOT NULL, expires_at INTEGER NOT NULL,
  is_answered INTEGER NOT NULL CHECK (is_answered IN (0, 1))) STRICT, WITHOUT ROWID;
CREATE TABLE marks (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE operator_tokens (hash TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL ${oneOf("role", ROLES)},
  created_at INTEGER NOT NULL, created_by TEXT NOT NULL, expires_at INTEGER NOT NULL, last_used_at INTEGER, revoked_at INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE operator_certificates (serial TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL ${oneOf("role", ROLES)},
  issued_at INTEGER NOT NULL, issued_by TEXT NOT NULL, not_after INTEGER NOT NULL, revoked_at INTEGER) STRICT, WITHOUT ROWID;
`;

export const createDerived = (): string =>
  `${DERIVED_TABLE_NAMES.map(derived).join("\n")}\n${DERIVED_INDICES}`;

/** For a rebuild: the tables go, with their indices, and come back empty in the same transaction. */
export const dropDerived = (): string =>
  DERIVED_TABLE_NAMES.map((table) => `DROP TABLE IF EXISTS ${table};`).join("\n");

/**
 * Forward only: the n-th entry takes a database of `user_version` n to n + 1. An entry that has shipped is never edited; each keeps
 * the database readable and writable by the version before, because the CP's host may roll back too.
 */
export const MIGRATIONS: readonly string[] = [
  `${LOG}\n${createDerived()}\n${OBSERVED}`,
  CHECKPOINTS,
  IDENTITY,
];
export const SCHEMA_VERSION = MIGRATIONS.length;
