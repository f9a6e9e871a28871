import {
  type Attempt,
  type HostRollout,
  isAttempt,
  isInFlight,
  isJournalId,
  isRolloutId,
  isSeq,
  isSettled,
  type PreviousStream,
  type RolloutId,
  type Seq,
} from "@nixwave/effects";
import { storedHostRollout } from "@nixwave/protocol";
import type { Database } from "better-sqlite3";

/** A record that a newer version wrote: shown, and left alone. */
export interface OpaqueRecord {
  readonly kind: "opaque";
  readonly text: string;
}

/** How far a stream reaches that is still kept whole: what a heartbeat lists. */
export interface StreamReach {
  readonly rolloutId: RolloutId;
  readonly attempt: Attempt;
  readonly lastSeq: Seq | 0;
}

interface RecordRow {
  readonly rollout_id: string;
  readonly record: string;
}

type DecodedRecord = HostRollout | OpaqueRecord;
/** The newest few are asked for again and again; older ones when somebody looks at the journal. */
const DECODED_MAX = 64;

/** More than a host acknowledges in years; older settled ones only fill the disk. */
const RECORDS_MAX = 10_000;

/** The host rollouts, one row each, in the order in which they were opened. */
export class RecordTable {
  readonly #db: Database;
  /** What was decoded last of each rollout: every input reads records that no input has changed since. */
  readonly #decoded = new Map<string, { readonly text: string; readonly record: DecodedRecord }>();

  constructor(db: Database) {
    this.#db = db;
  }

  put(record: HostRollout, acknowledged: boolean): void {
    const inForce = record.kind !== "Pending" && !isSettled(record) ? 1 : 0;
    this.#db
      .prepare(
        `INSERT INTO host_rollouts (rollout_id, kind, record, in_force) VALUES (@id, @kind, @record, @inForce)
         ON CONFLICT (rollout_id) DO UPDATE SET kind = @kind, record = @record, in_force = @inForce`,
      )
      .run({ id: record.rolloutId, kind: record.kind, record: JSON.stringify(record), inForce });
    if (acknowledged)
      this.#db
        .prepare(
          `UPDATE host_rollouts SET acked_order = (SELECT coalesce(max(acked_order), 0) + 1 FROM host_rollouts)
            WHERE rollout_id = ?`,
        )
        .run(record.rolloutId);
  }

  get(rolloutId: RolloutId): HostRollout | OpaqueRecord | null {
    const row = this.#db
      .prepare<[string], RecordRow>(
        "SELECT rollout_id, record FROM host_rollouts WHERE rollout_id = ?",
      )
      .get(rolloutId);
    return row === undefined ? null : this.#decode(row);
  }

  /** The one past Pending that is unsettled; null also where a newer version wrote it. */
  current(): HostRollout | null {
    const row = this.#db
      .prepare<[], RecordRow>(
        "SELECT rollout_id, record FROM host_rollouts WHERE in_force = 1 ORDER BY acked_order DESC LIMIT 1",
      )
      .get();
    const record = row === undefined ? null : this.#decode(row);
    return record === null || record.kind === "opaque" ? null : record;
  }

  /** The newest acknowledged record but this one. */
  previousOf(rolloutId: RolloutId): PreviousStream | null {
    const row = this.#db
      .prepare<[string], RecordRow>(
        `SELECT rollout_id, record FROM host_rollouts WHERE rollout_id <> ? AND acked_order IS NOT NULL
          ORDER BY acked_order DESC LIMIT 1`,
      )
      .get(rolloutId);
    return row === undefined ? null : streamOf(row);
  }

  /** Whose lines stay for a replay: the newest acknowledged, its previous, what is in force, and what was opened since. */
  replayable(): readonly string[] {
    return this.#db
      .prepare<[], { rollout_id: string }>(
        `WITH newest AS (SELECT rollout_id, position FROM host_rollouts WHERE acked_order IS NOT NULL
                          ORDER BY acked_order DESC LIMIT 2)
         SELECT rollout_id FROM host_rollouts
          WHERE rollout_id IN (SELECT rollout_id FROM newest) OR in_force = 1
             OR position >= (SELECT coalesce(min(position), 0) FROM newest)`,
      )
      .all()
      .map((row) => row.rollout_id);
  }

  streams(): readonly StreamReach[] {
    return this.#db
      .prepare<[], RecordRow>(
        "SELECT rollout_id, record FROM host_rollouts WHERE kept_whole = 1 ORDER BY position",
      )
      .all()
      .map((row) => reachOf(row))
      .filter((reach) => reach !== null);
  }

  all(): readonly (HostRollout | OpaqueRecord)[] {
    return this.#db
      .prepare<[], RecordRow>("SELECT rollout_id, record FROM host_rollouts ORDER BY position")
      .all()
      .map((row) => this.#decode(row));
  }

  prune(): void {
    this.#db
      .prepare(
        `DELETE FROM host_rollouts WHERE in_force = 0 AND position <= (SELECT max(position) FROM host_rollouts) - ?
            AND rollout_id NOT IN (SELECT rollout_id FROM outbox)`,
      )
      .run(RECORDS_MAX);
  }

  clear(): void {
    this.#db.exec("DELETE FROM host_rollouts");
  }

  #decode(row: RecordRow): DecodedRecord {
    const known = this.#decoded.get(row.rollout_id);
    if (known?.text === row.record) return known.record;
    const record = decode(row);
    if (this.#decoded.size >= DECODED_MAX) this.#decoded.clear();
    this.#decoded.set(row.rollout_id, { text: row.record, record });
    return record;
  }

  /** Whether anything that the loop may not interrupt is under way. */
  isQuiet(): boolean {
    const current = this.current();
    return current === null || !isInFlight(current);
  }
}

function decode(row: RecordRow): DecodedRecord {
  const read = storedHostRollout.safeParse(JSON.parse(row.record));
  return read.success ? read.data : { kind: "opaque", text: row.record };
}

/** Reads only what every version has: a stream goes on whatever its record's state is called. */
function reachOf(row: RecordRow): StreamReach | null {
  const value: unknown = JSON.parse(row.record);
  if (typeof value !== "object" || value === null) return null;
  const attempt: unknown = Reflect.get(value, "attempt");
  const lastSeq: unknown = Reflect.get(value, "lastSeq");
  const { rollout_id: rolloutId } = row;
  if (!isRolloutId(rolloutId) || typeof attempt !== "number" || !isAttempt(attempt)) return null;
  if (typeof lastSeq !== "number") return null;
  if (lastSeq !== 0 && !isSeq(lastSeq)) return null;
  return { rolloutId, attempt, lastSeq: lastSeq === 0 ? 0 : lastSeq };
}

function streamOf(row: RecordRow): PreviousStream | null {
  const reach = reachOf(row);
  const value: unknown = JSON.parse(row.record);
  const journalId: unknown =
    typeof value === "object" && value !== null ? Reflect.get(value, "journalId") : null;
  if (reach === null || typeof journalId !== "string" || !isJournalId(journalId)) return null;
  return { rolloutId: reach.rolloutId, journalId, lastSeq: reach.lastSeq };
}
