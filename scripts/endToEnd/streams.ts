import { createHash } from "node:crypto";
import { join } from "node:path";
import type { DemoFleet } from "../demo/fleet.ts";
import { openReadOnly, texts } from "./ends.ts";

/** The agents' lines in the control plane's log; a key is `host journal rollout seq`, a stream's that without the number. */
export interface Logged {
  /** key → SHA-256 of the line as it was sent. */
  readonly lines: ReadonlyMap<string, string>;
  /** Lines that the log holds more than once. */
  readonly twice: readonly string[];
  /** The last number of each stream. */
  readonly last: Readonly<Record<string, number>>;
}

/** The agents' lines in one journal, under the same keys. */
export interface Journaled {
  /** Lines that the journal still keeps, oldest first. */
  readonly lines: ReadonlyMap<string, string>;
  /** Those of them that the drainer was about to send, or has sent. */
  readonly marked: ReadonlySet<string>;
  readonly last: Readonly<Record<string, number>>;
}

interface StoredLine {
  readonly kind: string;
  readonly host?: string;
  readonly rolloutId?: string;
  readonly journalId?: string;
  readonly seq?: number;
  readonly line?: string;
  readonly sha256?: string;
}

export function logOf(fleet: DemoFleet): Logged {
  const lines = new Map<string, string>();
  const twice: string[] = [];
  const last: Record<string, number> = {};
  const db = openReadOnly(join(fleet.data, "cp.db"));
  for (const text of texts(db, "SELECT lines AS text FROM log_segments ORDER BY first_offset"))
    for (const stored of text.split("\n").filter((one) => one !== "")) {
      const place = placeOf(JSON.parse(stored));
      if (place === null) continue;
      const key = `${place.stream} ${place.seq}`;
      if (lines.has(key)) twice.push(key);
      lines.set(key, place.hash);
      last[place.stream] = Math.max(last[place.stream] ?? 0, place.seq);
    }
  db.close();
  return { lines, twice, last };
}

/** An agent's event, or a line that was refused before it could be one: both use up a number of the stream. */
function placeOf({ kind, host, journalId, rolloutId, seq, line, sha256 }: StoredLine) {
  if ((kind !== "AgentEvent" && kind !== "EventRefused") || seq === undefined) return null;
  const hash = line === undefined ? (sha256 ?? "") : sha256Of(line);
  return { stream: `${host} ${journalId} ${rolloutId}`, seq, hash };
}

const sha256Of = (text: string): string => createHash("sha256").update(text).digest("hex");

interface OutboxRow {
  readonly rollout: string;
  readonly seq: number;
  readonly hash: string;
  readonly sent: number;
}

export function journaledIn(database: string, host: string): Journaled {
  const db = openReadOnly(database);
  try {
    const journalId = texts(
      db,
      "SELECT json_extract(value, '$') AS text FROM meta WHERE key = 'journalId'",
    ).join();
    const rows = db
      .prepare<[], OutboxRow>(
        "SELECT rollout_id AS rollout, seq, hash, sent FROM outbox ORDER BY position",
      )
      .all();
    const keyOf = ({ rollout, seq }: OutboxRow): string => `${host} ${journalId} ${rollout} ${seq}`;
    const last: Record<string, number> = {};
    for (const text of texts(
      db,
      "SELECT rollout_id || ' ' || json_extract(record, '$.lastSeq') AS text FROM host_rollouts",
    )) {
      const [rollout = "", seq = "0"] = text.split(" ");
      if (seq !== "0") last[`${host} ${journalId} ${rollout}`] = Number(seq);
    }
    return {
      lines: new Map(rows.map((row) => [keyOf(row), row.hash])),
      marked: new Set(rows.filter(({ sent }) => sent > 0).map(keyOf)),
      last,
    };
  } finally {
    db.close();
  }
}

/** What SQLite finds wrong with the file; normally nothing. */
export function damageOf(database: string): readonly string[] {
  const db = openReadOnly(database);
  try {
    return texts(db, "SELECT integrity_check AS text FROM pragma_integrity_check").filter(
      (text) => text !== "ok",
    );
  } finally {
    db.close();
  }
}

const databaseOf = (fleet: DemoFleet, host: string): string =>
  join(fleet.stateDir(host), "agent.db");

export const journalOf = (fleet: DemoFleet, host: string): Journaled =>
  journaledIn(databaseOf(fleet, host), host);

export const journalDamage = (fleet: DemoFleet, host: string): readonly string[] =>
  damageOf(databaseOf(fleet, host));
