import type { ClosureHash, RolloutId } from "@nixwave/effects";
import type { ReleaseFile } from "@nixwave/protocol";
import type { Database } from "better-sqlite3";
import type { MetaKey } from "./facts.ts";
import { isDiskRefusal, unwritable } from "./openFile.ts";
import { OutboxTable } from "./outboxTable.ts";
import { RecordTable } from "./recordTable.ts";
import {
  type JournalTables,
  KNOWN_GOOD_MAX,
  TRANSITIONS_MAX,
  type TransitionRow,
} from "./tables.ts";

/** The tables of one migrated SQLite database. */
export class SqliteTables implements JournalTables {
  readonly place: string;
  readonly records: RecordTable;
  readonly outbox: OutboxTable;
  readonly #db: Database;
  /** Made once: better-sqlite3 makes four functions and prepares their statements for each that is wrapped. */
  readonly #inTransaction: (write: () => void) => void;
  #sync: "full" | "normal" = "full";

  constructor(db: Database, place: string) {
    keepStatements(db);
    this.#db = db;
    this.#inTransaction = db.transaction((write: () => void) => write());
    this.place = place;
    this.records = new RecordTable(db);
    this.outbox = new OutboxTable(db);
  }

  meta(): ReadonlyMap<string, string> {
    const rows = this.#db
      .prepare<[], { key: string; value: string }>("SELECT key, value FROM meta")
      .all();
    return new Map(rows.map(({ key, value }) => [key, value]));
  }

  putMeta(key: MetaKey, text: string | null): void {
    if (text === null) this.#db.prepare("DELETE FROM meta WHERE key = ?").run(key);
    else
      this.#db
        .prepare(
          "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .run(key, text);
  }

  knownGood(): readonly string[] {
    return this.#db
      .prepare<[], { closure: string }>("SELECT closure FROM known_good ORDER BY position")
      .all()
      .map(({ closure }) => closure);
  }

  addKnownGood(closure: ClosureHash): void {
    this.#db.prepare("DELETE FROM known_good WHERE closure = ?").run(closure);
    this.#db.prepare("INSERT INTO known_good (closure) VALUES (?)").run(closure);
    this.#db
      .prepare(
        "DELETE FROM known_good WHERE position <= (SELECT max(position) FROM known_good) - ?",
      )
      .run(KNOWN_GOOD_MAX);
  }

  releaseFile(path: string): Uint8Array | null {
    const row = this.#db
      .prepare<[string], { bytes: Uint8Array }>("SELECT bytes FROM release_files WHERE path = ?")
      .get(path);
    return row?.bytes ?? null;
  }

  keepRelease(rolloutId: RolloutId, files: readonly ReleaseFile[]): void {
    this.#db.exec("DELETE FROM release_files");
    const insert = this.#db.prepare(
      "INSERT OR REPLACE INTO release_files (path, rollout_id, bytes) VALUES (?, ?, ?)",
    );
    for (const { path, bytes } of files) insert.run(path, rolloutId, bytes);
  }

  addTransition({ rolloutId, from, to, at }: TransitionRow): void {
    this.#db
      .prepare("INSERT INTO transitions (rollout_id, from_state, to_state, at) VALUES (?, ?, ?, ?)")
      .run(rolloutId, from, to, at);
    this.#db
      .prepare(
        "DELETE FROM transitions WHERE position <= (SELECT max(position) FROM transitions) - ?",
      )
      .run(TRANSITIONS_MAX);
  }

  clearTransitions(): void {
    this.#db.exec("DELETE FROM transitions");
  }

  transaction(sync: "full" | "normal", write: () => void): void {
    this.#setSync(sync);
    try {
      this.#inTransaction(write);
    } catch (error) {
      this.outbox.forgetSize();
      throw isDiskRefusal(error) ? unwritable(this.place, error) : error;
    }
  }

  close(): void {
    this.#db.close();
  }

  #setSync(sync: "full" | "normal"): void {
    if (this.#sync === sync) return;
    // SQLite ignores this inside a transaction, so it is set before.
    this.#db.pragma(`synchronous = ${sync === "full" ? "FULL" : "NORMAL"}`);
    this.#sync = sync;
  }
}

/** Each text is prepared once per connection: preparing takes longer than most of these statements. */
function keepStatements(db: Database): void {
  const kept = new Map<string, ReturnType<Database["prepare"]>>();
  const prepare = db.prepare.bind(db);
  const value = (sql: string): ReturnType<Database["prepare"]> => {
    const statement = kept.get(sql) ?? prepare(sql);
    kept.set(sql, statement);
    return statement;
  };
  Object.defineProperty(db, "prepare", { value });
}
