import type { ClosureHash, HostState, Instant, RolloutId } from "@nixwave/effects";
import type { ReleaseFile } from "@nixwave/protocol";
import type { MetaKey } from "./facts.ts";
import type { OutboxTable } from "./outboxTable.ts";
import type { RecordTable } from "./recordTable.ts";

export type KeptRecords = Pick<RecordTable, keyof RecordTable>;
export type KeptOutbox = Pick<OutboxTable, keyof OutboxTable>;

export interface TransitionRow {
  readonly rolloutId: RolloutId;
  readonly from: HostState;
  readonly to: HostState;
  readonly at: Instant;
}

/** History for `journal show`; the CP has all of it. */
export const TRANSITIONS_MAX = 1000;
export const KNOWN_GOOD_MAX = 16;

/** What a journal is kept in: narrow, so that a fleet in one process can keep ten thousand of them in memory. */
export interface JournalTables {
  /** Names it in messages. */
  readonly place: string;
  readonly records: KeptRecords;
  readonly outbox: KeptOutbox;
  meta(): ReadonlyMap<string, string>;
  /** Null takes it away. */
  putMeta(key: MetaKey, text: string | null): void;
  /** Oldest first. */
  knownGood(): readonly string[];
  addKnownGood(closure: ClosureHash): void;
  releaseFile(path: string): Uint8Array | null;
  /** In place of the release that was kept before. */
  keepRelease(rolloutId: RolloutId, files: readonly ReleaseFile[]): void;
  addTransition(row: TransitionRow): void;
  clearTransitions(): void;
  /** All of `write` or nothing. Throws JournalUnwritable where the disk refuses. */
  transaction(sync: "full" | "normal", write: () => void): void;
  close(): void;
}
