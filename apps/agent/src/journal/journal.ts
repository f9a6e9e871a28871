import type {
  ClosureHash,
  HostRollout,
  HostState,
  Instant,
  JournalId,
  OutboundAgentEvent,
  RolloutId,
} from "@nixwave/effects";
import type { ReleaseFile } from "@nixwave/protocol";
import type { Database } from "better-sqlite3";
import type { Change } from "./change.ts";
import { factsOf, type Hold, type HostFacts, type Loaded, type MetaKey } from "./facts.ts";
import { isDiskRefusal, openJournalFile, unwritable } from "./openFile.ts";
import { type OutboxLine, OutboxTable } from "./outboxTable.ts";
import { type OpaqueRecord, RecordTable } from "./recordTable.ts";
import { type Committed, syncCopies } from "./syncCopy.ts";

/** What commit handlers may do, inside the one transaction of an input. */
export interface Tx {
  putRecord(record: HostRollout, acknowledged: boolean): void;
  appendLine(record: HostRollout, event: OutboundAgentEvent): void;
  addTransition(row: TransitionRow): void;
  apply(change: Change): void;
  setSteadyNow(now: Instant): void;
}

interface TransitionRow {
  readonly rolloutId: RolloutId;
  readonly from: HostState;
  readonly to: HostState;
  readonly at: Instant;
}

export interface JournalOptions {
  readonly stateDir: string;
  readonly newJournalId: () => JournalId;
  readonly wallMs: () => number;
  /** Where a test wants to have what each sync has put on the disk (syncCopy.ts). */
  readonly syncCopyDir?: string | undefined;
}

/** History for `journal show`; the CP has all of it. */
const TRANSITIONS_MAX = 1000;
const KNOWN_GOOD_MAX = 16;

/**
 * `<stateDir>/agent.db`: everything that a restart needs. One transaction per input. What leaves the machine or changes
 * it is fsynced first: a `full` commit is on the disk when it returns, and takes every earlier one with it.
 */
export class Journal {
  readonly path: string;
  /** Where a corrupt file was moved to at the opening, or null. */
  readonly setAside: string | null;
  readonly records: RecordTable;
  readonly outbox: OutboxTable;
  readonly #db: Database;
  #sync: "FULL" | "NORMAL" = "FULL";
  /** As of the last commit: each source asks for them before each request, and they change a few times an hour. */
  #facts: HostFacts | null = null;
  #committed: Committed | null = null;

  private constructor(db: Database, path: string, setAside: string | null) {
    this.#db = db;
    this.path = path;
    this.setAside = setAside;
    this.records = new RecordTable(db);
    this.outbox = new OutboxTable(db);
  }

  /** Throws JournalUnwritable where the disk refuses; any other failure is ours. */
  static open(options: JournalOptions): Journal {
    const { db, path, setAside } = openJournalFile(options.stateDir, options.wallMs);
    const journal = new Journal(db, path, setAside);
    journal.#committed = syncCopies(options.syncCopyDir, path);
    journal.#ensureId(options.newJournalId);
    return journal;
  }

  /** Over a database that is open and migrated already: the simulator's, in memory, which outlives the process that it simulates. */
  static over(db: Database, newJournalId: () => JournalId): Journal {
    const journal = new Journal(db, db.name, null);
    journal.#ensureId(newJournalId);
    return journal;
  }

  facts(): HostFacts {
    this.#facts ??= this.#readFacts();
    return this.#facts;
  }

  #readFacts(): HostFacts {
    const rows = this.#db
      .prepare<[], { key: string; value: string }>("SELECT key, value FROM meta")
      .all();
    const knownGood = this.#db
      .prepare<[], { closure: string }>("SELECT closure FROM known_good ORDER BY position")
      .all();
    return factsOf(
      new Map(rows.map(({ key, value }) => [key, value])),
      knownGood.map(({ closure }) => closure),
    );
  }

  load(rolloutId: RolloutId | null): Loaded {
    const current = this.records.current();
    const found = rolloutId === null ? null : this.records.get(rolloutId);
    const opaque = found?.kind === "opaque";
    return {
      facts: this.facts(),
      record: found === null || found.kind === "opaque" ? null : found,
      opaque,
      current,
      previous: rolloutId === null ? null : this.records.previousOf(rolloutId),
    };
  }

  record(rolloutId: RolloutId): HostRollout | null {
    const found = this.records.get(rolloutId);
    return found === null || found.kind === "opaque" ? null : found;
  }

  /** A file of the last verified release, as it was received, or null. */
  releaseFile(path: string): Uint8Array | null {
    const row = this.#db
      .prepare<[string], { bytes: Uint8Array }>("SELECT bytes FROM release_files WHERE path = ?")
      .get(path);
    return row?.bytes ?? null;
  }

  transitions(): readonly { rolloutId: string; from: string; to: string; at: number }[] {
    return this.#db
      .prepare<[], { rolloutId: string; from: string; to: string; at: number }>(
        `SELECT rollout_id AS rolloutId, from_state AS "from", to_state AS "to", at FROM transitions ORDER BY position`,
      )
      .all();
  }

  all(): readonly (HostRollout | OpaqueRecord)[] {
    return this.records.all();
  }

  /** All of `write` or nothing. Throws JournalUnwritable where the disk refuses; nothing has changed then. */
  commit(sync: "full" | "normal", write: (tx: Tx) => void): void {
    this.#setSync(sync === "full" ? "FULL" : "NORMAL");
    try {
      this.#db.transaction(() => {
        write(this.#tx());
      })();
    } catch (error) {
      this.outbox.forgetSize();
      throw isDiskRefusal(error) ? unwritable(this.path, error) : error;
    } finally {
      this.#facts = null;
    }
    this.#committed?.(sync);
  }

  /** The drainer's FULL write before each POST: it carries every earlier commit to the disk. */
  markSent(batch: readonly OutboxLine[]): void {
    this.commit("full", () => {
      this.outbox.markSent(batch);
    });
  }

  close(): void {
    this.#db.close();
  }

  #setSync(mode: "FULL" | "NORMAL"): void {
    if (this.#sync === mode) return;
    // SQLite ignores this inside a transaction, so it is set before.
    this.#db.pragma(`synchronous = ${mode}`);
    this.#sync = mode;
  }

  #ensureId(newJournalId: () => JournalId): void {
    const row = this.#db.prepare("SELECT 1 FROM meta WHERE key = 'journalId'").get();
    if (row !== undefined) return;
    this.commit("full", () => {
      this.#put("journalId", newJournalId());
    });
  }

  #put(key: MetaKey, value: unknown): void {
    this.#db
      .prepare(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      )
      .run(key, JSON.stringify(value));
  }

  #tx(): Tx {
    return {
      putRecord: (record, acknowledged) => {
        this.records.put(record, acknowledged);
      },
      appendLine: (record, event) => {
        this.outbox.append(record, event);
      },
      addTransition: ({ rolloutId, from, to, at }) => {
        const insert =
          "INSERT INTO transitions (rollout_id, from_state, to_state, at) VALUES (?, ?, ?, ?)";
        this.#db.prepare(insert).run(rolloutId, from, to, at);
        this.#db
          .prepare(
            "DELETE FROM transitions WHERE position <= (SELECT max(position) FROM transitions) - ?",
          )
          .run(TRANSITIONS_MAX);
      },
      apply: (change) => {
        this.#apply(change);
      },
      setSteadyNow: (now) => {
        this.#put("steadyNow", now);
      },
    };
  }

  #apply(change: Change): void {
    switch (change.kind) {
      case "RecordPut":
        return this.records.put(change.record, change.acknowledged);
      case "NewestAcknowledged":
        return this.#put("newestCreatedAt", change.createdAt);
      case "KnownGoodAdded":
        return this.#addKnownGood(change.closure);
      case "ReleaseKept":
        return this.#keepRelease(change.rolloutId, change.files);
      case "LinesAcked":
        this.outbox.acknowledge(change.streams);
        this.outbox.prune(this.records.replayable());
        return this.records.prune();
      case "LinesReplayed":
        return this.outbox.replay(change.from);
      case "LogHeadSeen":
        return this.#put("logHead", change.logHead);
      case "HoldPut":
        return this.#putHold(change.hold);
      case "FirstBooted":
        return this.#put("booted", true);
      case "JournalBegun":
        return this.#begin(change.journalId);
    }
  }

  #putHold(hold: Hold | null): void {
    if (hold !== null) return this.#put("hold", hold);
    this.#db.prepare("DELETE FROM meta WHERE key = 'hold'").run();
  }

  #addKnownGood(closure: ClosureHash): void {
    this.#db.prepare("DELETE FROM known_good WHERE closure = ?").run(closure);
    this.#db.prepare("INSERT INTO known_good (closure) VALUES (?)").run(closure);
    this.#db
      .prepare(
        "DELETE FROM known_good WHERE position <= (SELECT max(position) FROM known_good) - ?",
      )
      .run(KNOWN_GOOD_MAX);
  }

  #keepRelease(rolloutId: RolloutId, files: readonly ReleaseFile[]): void {
    this.#db.exec("DELETE FROM release_files");
    const insert =
      "INSERT OR REPLACE INTO release_files (path, rollout_id, bytes) VALUES (?, ?, ?)";
    for (const { path, bytes } of files) this.#db.prepare(insert).run(path, rolloutId, bytes);
  }

  #begin(journalId: JournalId): void {
    this.records.clear();
    this.outbox.clear();
    this.#db.exec("DELETE FROM transitions");
    this.#put("journalId", journalId);
  }
}
