import type {
  HostRollout,
  Instant,
  JournalId,
  OutboundAgentEvent,
  RolloutId,
} from "@nixwave/effects";
import type { Change } from "./change.ts";
import { factsReader, type HostFacts, type Loaded, type MetaKey } from "./facts.ts";
import { openJournalFile } from "./openFile.ts";
import type { OutboxLine } from "./outboxTable.ts";
import type { OpaqueRecord } from "./recordTable.ts";
import { SqliteTables } from "./sqliteTables.ts";
import { type Committed, syncCopies } from "./syncCopy.ts";
import type { JournalTables, KeptOutbox, KeptRecords, TransitionRow } from "./tables.ts";

/** What commit handlers may do, inside the one transaction of an input. */
export interface Tx {
  putRecord(record: HostRollout, acknowledged: boolean): void;
  appendLine(record: HostRollout, event: OutboundAgentEvent): void;
  addTransition(row: TransitionRow): void;
  apply(change: Change): void;
  setSteadyNow(now: Instant): void;
}

export interface JournalOptions {
  readonly stateDir: string;
  readonly newJournalId: () => JournalId;
  readonly wallMs: () => number;
  /** Where a test wants to have what each sync has put on the disk (syncCopy.ts). */
  readonly syncCopyDir?: string | undefined;
}

/**
 * `<stateDir>/agent.db`: everything that a restart needs. One transaction per input. What leaves the machine or changes
 * it is fsynced first: a `full` commit is on the disk when it returns, and takes every earlier one with it.
 */
export class Journal {
  readonly path: string;
  /** Where a corrupt file was moved to at the opening, or null. */
  readonly setAside: string | null;
  readonly records: KeptRecords;
  readonly outbox: KeptOutbox;
  readonly #tables: JournalTables;
  /** As of the last commit: each source asks for them before each request, and they change a few times an hour. */
  #facts: HostFacts | null = null;
  readonly #readFacts = factsReader();
  #committed: Committed | null = null;

  private constructor(tables: JournalTables, setAside: string | null) {
    this.#tables = tables;
    this.path = tables.place;
    this.setAside = setAside;
    this.records = tables.records;
    this.outbox = tables.outbox;
  }

  /** Throws JournalUnwritable where the disk refuses; any other failure is ours. */
  static open(options: JournalOptions): Journal {
    const { db, path, setAside } = openJournalFile(options.stateDir, options.wallMs);
    const journal = new Journal(new SqliteTables(db, path), setAside);
    journal.#committed = syncCopies(options.syncCopyDir, path);
    journal.#ensureId(options.newJournalId);
    return journal;
  }

  /** Over tables that are open already and outlive this process: the simulator's. */
  static over(tables: JournalTables, newJournalId: () => JournalId): Journal {
    const journal = new Journal(tables, null);
    journal.#ensureId(newJournalId);
    return journal;
  }

  facts(): HostFacts {
    this.#facts ??= this.#readFacts(this.#tables.meta(), this.#tables.knownGood());
    return this.#facts;
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
    return this.#tables.releaseFile(path);
  }

  all(): readonly (HostRollout | OpaqueRecord)[] {
    return this.records.all();
  }

  /** All of `write` or nothing. Throws JournalUnwritable where the disk refuses; nothing has changed then. */
  commit(sync: "full" | "normal", write: (tx: Tx) => void): void {
    try {
      this.#tables.transaction(sync, () => write(this.#tx()));
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
    this.#tables.close();
  }

  #ensureId(newJournalId: () => JournalId): void {
    if (this.#tables.meta().has("journalId")) return;
    this.commit("full", () => {
      this.#put("journalId", newJournalId());
    });
  }

  #put(key: MetaKey, value: unknown): void {
    this.#tables.putMeta(key, JSON.stringify(value));
  }

  #tx(): Tx {
    return {
      putRecord: (record, acknowledged) => {
        this.records.put(record, acknowledged);
      },
      appendLine: (record, event) => {
        this.outbox.append(record, event);
      },
      addTransition: (row) => {
        this.#tables.addTransition(row);
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
        return this.#tables.addKnownGood(change.closure);
      case "ReleaseKept":
        return this.#tables.keepRelease(change.rolloutId, change.files);
      case "LinesAcked":
        this.outbox.acknowledge(change.streams);
        this.outbox.prune(this.records.replayable());
        return this.records.prune();
      case "LinesReplayed":
        return this.outbox.replay(change.from);
      case "LogHeadSeen":
        return this.#put("logHead", change.logHead);
      case "BaselinePut":
        return this.#put("baseline", change.baseline);
      case "MetadataSeen":
        return this.#put("metadataSignedAt", change.signedAt);
      case "HoldPut":
        return this.#tables.putMeta(
          "hold",
          change.hold === null ? null : JSON.stringify(change.hold),
        );
      case "FirstBooted":
        return this.#put("booted", true);
      case "JournalBegun":
        return this.#begin(change.journalId);
    }
  }

  #begin(journalId: JournalId): void {
    this.records.clear();
    this.outbox.clear();
    this.#tables.clearTransitions();
    this.#put("journalId", journalId);
  }
}
