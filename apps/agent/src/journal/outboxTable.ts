import { hash as hashOf } from "node:crypto";
import {
  type HostRollout,
  isRolloutId,
  isSeq,
  isSha256,
  type OutboundAgentEvent,
  type RolloutId,
  type Seq,
  type Sha256,
} from "@nixwave/effects";
import { type EventsAnswer, encodeLine } from "@nixwave/protocol";
import type { Database } from "better-sqlite3";

/** One line that is to be sent. */
export interface OutboxLine {
  readonly position: number;
  readonly rolloutId: RolloutId;
  readonly seq: Seq;
  readonly line: string;
}

export interface OutboxCounts {
  readonly rows: number;
  readonly bytes: number;
  readonly unacknowledged: number;
  readonly refused: number;
}

export interface RefusedLine {
  readonly rolloutId: string;
  readonly seq: number;
  readonly kind: string;
  readonly code: string;
}

interface LineRow {
  readonly position: number;
  readonly rollout_id: string;
  readonly seq: number;
  readonly line: string;
  readonly bytes: number;
}

/** A record's last event as the line that is sent; `prev` is the hash of its stream's line before. */
export function sealed(
  { host, rolloutId, lastSeq }: HostRollout,
  event: OutboundAgentEvent,
  prev: Sha256 | null,
): { readonly seq: Seq; readonly line: string; readonly hash: string; readonly bytes: number } {
  if (lastSeq === 0) throw new Error(`an event of ${rolloutId} has no number`);
  const line = encodeLine({ host, rolloutId, seq: lastSeq, prev, event });
  const hash = hashOf("sha256", line);
  return { seq: lastSeq, line, hash, bytes: Buffer.byteLength(line) };
}

/** Of lines that were given up: what comes before them is kept no more. */
export const CUT_OFF = "cut-off";

/**
 * The outbox: one order per host, and a hash chain per stream. A number once given is never dropped: lines leave only
 * after they were acknowledged, and those of the newest acknowledged rollout and of its `previous` not even then.
 */
export class OutboxTable {
  readonly #db: Database;
  /** Counted once and then kept, because counting 100,000 rows for each probe result would cost more than the result. */
  #size: { rows: number; bytes: number } | null = null;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Writes the line of the record's last event; `prev` is set here and nowhere else. */
  append(record: HostRollout, event: OutboundAgentEvent): void {
    const { rolloutId } = record;
    const { seq, line, hash, bytes } = sealed(record, event, this.#lastHash(rolloutId));
    this.#db
      .prepare(
        "INSERT INTO outbox (rollout_id, seq, kind, line, hash, bytes) VALUES (?, ?, ?, ?, ?, ?)",
      )
      .run(rolloutId, seq, event.kind, line, hash, bytes);
    this.#db
      .prepare("UPDATE host_rollouts SET last_hash = ? WHERE rollout_id = ?")
      .run(hash, rolloutId);
    if (this.#size !== null)
      this.#size = { rows: this.#size.rows + 1, bytes: this.#size.bytes + bytes };
  }

  #lastHash(rolloutId: RolloutId): Sha256 | null {
    const row = this.#db
      .prepare<[string], { last_hash: string | null }>(
        "SELECT last_hash FROM host_rollouts WHERE rollout_id = ?",
      )
      .get(rolloutId);
    const hash = row?.last_hash ?? null;
    return hash !== null && isSha256(hash) ? hash : null;
  }

  /** The oldest lines that wait for an acknowledgement, streams in `without` aside. */
  nextBatch(limits: {
    readonly lines: number;
    readonly bytes: number;
    readonly without: ReadonlySet<string>;
  }): readonly OutboxLine[] {
    const rows = this.#db
      .prepare<[], LineRow>(
        "SELECT position, rollout_id, seq, line, bytes FROM outbox WHERE acked = 0 ORDER BY position",
      )
      .iterate();
    const batch: OutboxLine[] = [];
    let bytes = 0;
    for (const { position, rollout_id: rolloutId, seq, line, bytes: lineBytes } of rows) {
      if (limits.without.has(rolloutId) || !isRolloutId(rolloutId) || !isSeq(seq)) continue;
      // The newline counts too.
      bytes += lineBytes + 1;
      if (batch.length === limits.lines || (batch.length > 0 && bytes > limits.bytes)) break;
      batch.push({ position, rolloutId, seq, line });
    }
    return batch;
  }

  markSent(batch: readonly OutboxLine[]): void {
    const mark = this.#db.prepare("UPDATE outbox SET sent = sent + 1 WHERE position = ?");
    for (const { position } of batch) mark.run(position);
  }

  /** The highest number of the stream that may have been received, or 0. */
  lastSent(rolloutId: RolloutId): number {
    const row = this.#db
      .prepare<[string], { seq: number | null }>(
        "SELECT max(seq) AS seq FROM outbox WHERE rollout_id = ? AND (sent > 0 OR acked = 1)",
      )
      .get(rolloutId);
    return row?.seq ?? 0;
  }

  /** Takes the CP's answer: what it has, what it refused, and from where it wants a stream again. */
  acknowledge(streams: EventsAnswer["streams"]): void {
    const acked = this.#db.prepare(
      "UPDATE outbox SET acked = 1 WHERE rollout_id = ? AND seq <= ? AND acked = 0",
    );
    const refused = this.#db.prepare(
      "UPDATE outbox SET acked = 1, refused = ? WHERE rollout_id = ? AND seq = ?",
    );
    for (const [rolloutId, answer] of Object.entries(streams)) {
      for (const { seq, code } of answer.refused) refused.run(code, rolloutId, seq);
      acked.run(rolloutId, answer.ackedThrough);
      if (answer.expected === undefined) continue;
      this.#unmark(rolloutId, answer.expected);
      this.#giveUpCutOff(rolloutId, answer.expected);
    }
  }

  /**
   * The CP waits for a line that no replay can ask for any more, so it will never take what follows. A refusal among that would keep
   * the host from polling for ever.
   */
  #giveUpCutOff(rolloutId: string, expected: Seq): void {
    this.#db
      .prepare(
        `UPDATE outbox SET acked = 1, refused = ? WHERE rollout_id = ? AND acked = 0
           AND NOT EXISTS (SELECT 1 FROM outbox WHERE rollout_id = ? AND seq = ?)`,
      )
      .run(CUT_OFF, rolloutId, rolloutId, expected);
  }

  replay(from: { readonly [rolloutId: string]: Seq }): void {
    for (const [rolloutId, seq] of Object.entries(from)) this.#unmark(rolloutId, seq);
  }

  #unmark(rolloutId: string, from: Seq): void {
    this.#db
      .prepare("UPDATE outbox SET acked = 0, refused = NULL WHERE rollout_id = ? AND seq >= ?")
      .run(rolloutId, from);
  }

  /** Drops what was acknowledged of streams that no replay can ask for any more. Refused lines stay, to be seen. */
  prune(keep: readonly string[]): void {
    const gone = this.#db
      .prepare<[string], { rollout_id: string }>(
        `DELETE FROM outbox WHERE acked = 1 AND refused IS NULL
           AND rollout_id NOT IN (SELECT value FROM json_each(?)) RETURNING rollout_id`,
      )
      .all(JSON.stringify(keep));
    const cut = this.#db.prepare("UPDATE host_rollouts SET kept_whole = 0 WHERE rollout_id = ?");
    for (const rolloutId of new Set(gone.map((row) => row.rollout_id))) cut.run(rolloutId);
    if (gone.length > 0) this.#size = null;
  }

  clear(): void {
    this.#db.exec("DELETE FROM outbox");
    this.#size = null;
  }

  /** After a transaction that did not commit: what was counted in it does not hold. */
  forgetSize(): void {
    this.#size = null;
  }

  size(): { readonly rows: number; readonly bytes: number } {
    this.#size ??= this.#db
      .prepare<[], { rows: number; bytes: number }>(
        "SELECT count(*) AS rows, coalesce(sum(bytes), 0) AS bytes FROM outbox",
      )
      .get() ?? { rows: 0, bytes: 0 };
    return this.#size;
  }

  counts(): OutboxCounts {
    const open = this.#db
      .prepare<[], { n: number }>("SELECT count(*) AS n FROM outbox WHERE acked = 0")
      .get();
    const refused = this.#db
      .prepare<[], { n: number }>("SELECT count(*) AS n FROM outbox WHERE refused IS NOT NULL")
      .get();
    return { ...this.size(), unacknowledged: open?.n ?? 0, refused: refused?.n ?? 0 };
  }

  refused(): readonly RefusedLine[] {
    return this.#db
      .prepare<[], RefusedLine>(
        `SELECT rollout_id AS rolloutId, seq, kind, refused AS code FROM outbox
          WHERE refused IS NOT NULL ORDER BY position`,
      )
      .all();
  }

  hasUnacknowledged(kind: OutboundAgentEvent["kind"]): boolean {
    return (
      this.#db
        .prepare<[string], { found: number }>(
          "SELECT 1 AS found FROM outbox WHERE acked = 0 AND kind = ? LIMIT 1",
        )
        .get(kind) !== undefined
    );
  }
}
