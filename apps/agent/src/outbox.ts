import { isJournalId, type JournalId } from "@nixwave/effects";
import { BATCH_BYTES_MAX, BATCH_LINES_MAX, type EventsAnswer } from "@nixwave/protocol";
import { Backoff } from "./backoff.ts";
import { type ControlPlane, refusedJournal } from "./controlPlane.ts";
import type { Mailbox } from "./input.ts";
import type { Journal } from "./journal/journal.ts";
import type { OutboxLine } from "./journal/outboxTable.ts";
import type { Outage } from "./outage.ts";
import { CALLED_OFF, type Crash, type Random, type Timer } from "./ports.ts";

/** Of these the last 1,000 are for transitions: whatever happens, it can be told that it happened. */
export const OUTBOX_ROWS_MAX = 100_000;
export const OUTBOX_BYTES_MAX = 256 * 1024 * 1024;
const OUTBOX_RESERVE_ROWS = 1000;
/** What a reserve of rows may need at most, at 16 KiB a line. */
const OUTBOX_RESERVE_BYTES = OUTBOX_RESERVE_ROWS * 16 * 1024;

/** Whether only transitions may still be added. */
export function isOutboxFull(size: { readonly rows: number; readonly bytes: number }): boolean {
  return (
    size.rows >= OUTBOX_ROWS_MAX - OUTBOX_RESERVE_ROWS ||
    size.bytes >= OUTBOX_BYTES_MAX - OUTBOX_RESERVE_BYTES
  );
}

export interface DrainerParts {
  readonly journal: Journal;
  readonly controlPlane: ControlPlane;
  readonly mailbox: Mailbox;
  readonly timer: Timer;
  readonly random: Random;
  readonly crash: Crash;
  readonly outage: Outage;
  /** A gap that this host can't fill from what it knows: the heartbeat learns what is missing. */
  readonly askHeartbeat: () => void;
  readonly onTrouble: (message: string, cause: unknown) => void;
}

export function newJournalId(random: Random): JournalId {
  const id = random.hex(16);
  if (!isJournalId(id))
    throw new Error(`the random port gave ${JSON.stringify(id)} for 16 bytes of hex`);
  return id;
}

/**
 * Sends what the journal has committed, in its order, one batch in flight. Nothing leaves before it is on the disk; what
 * the CP has is marked by an input, so that marks and events share one order.
 */
export class Drainer {
  readonly #parts: DrainerParts;
  readonly #closed = new AbortController();
  readonly #backoff: Backoff;
  /** Streams whose gap was not filled yet: they stand aside for one round, so that they stop no other. */
  readonly #stuck = new Set<string>();
  #wake: (() => void) | null = null;
  #poked = false;

  constructor(parts: DrainerParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.timer, parts.random);
  }

  /** There may be something to send. */
  poke(): void {
    this.#poked = true;
    this.#wake?.();
  }

  /** Resolves when it was closed. */
  async run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      this.#poked = false;
      const sent = await this.#sendOne().catch((cause: unknown) => {
        if (!signal.aborted && !this.#parts.outage.covers(cause))
          this.#parts.onTrouble("events could not be sent", cause);
        return { kind: "failed" as const, retryAfterSecs: null };
      });
      if (sent.kind === "failed") await this.#backoff.failed(signal, sent.retryAfterSecs);
      else if (sent.kind === "nothing") await this.#sleep();
      else this.#backoff.succeeded();
    }
  }

  close(): void {
    this.#closed.abort(CALLED_OFF);
    this.#wake?.();
  }

  async #sleep(): Promise<void> {
    if (this.#poked || this.#closed.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
  }

  async #sendOne(): Promise<
    { kind: "sent" } | { kind: "nothing" } | { kind: "failed"; retryAfterSecs: number | null }
  > {
    const { journal, controlPlane, crash } = this.#parts;
    const { journalId } = journal.facts();
    const batch = this.#nextBatch();
    if (batch.length === 0) return { kind: "nothing" };
    crash.at("before-sent-mark");
    journal.markSent(batch);
    this.#parts.outage.over();
    crash.at("before-post");
    const lines = batch.map(({ line }) => line);
    const call = await controlPlane.postEvents(journalId, lines, this.#closed.signal);
    crash.at("after-answer");
    if (call.kind === "answered") return await this.#taken(journalId, batch, call.value);
    const refused = refusedJournal(call);
    if (refused === null)
      return {
        kind: "failed",
        retryAfterSecs: call.kind === "problem" ? call.retryAfterSecs : null,
      };
    await this.#refused(journalId, refused);
    return { kind: "sent" };
  }

  async #refused(journalId: JournalId, code: "old-journal" | "set-back"): Promise<void> {
    const nextJournalId = newJournalId(this.#parts.random);
    await this.#parts.mailbox.submit({ kind: "JournalRefused", journalId, code, nextJournalId });
  }

  /**
   * The CP acknowledges a number that this journal never sent: somebody else writes under it, a clone or what ran before a
   * snapshot was put back. Taken as it is, the answer would count lines as received that never were.
   */
  #isSetBack(batch: readonly OutboxLine[], { streams }: EventsAnswer): boolean {
    const { journal } = this.#parts;
    const lastSent = new Map(batch.map(({ rolloutId, seq }) => [rolloutId, seq]));
    return [...lastSent].some(([rolloutId, seq]) => {
      const ackedThrough = streams[rolloutId]?.ackedThrough ?? 0;
      // A number that was given while this batch was under way is not the one that the CP has.
      return ackedThrough > Math.max(seq, journal.outbox.lastSent(rolloutId));
    });
  }

  #nextBatch(): readonly OutboxLine[] {
    const limits = { lines: BATCH_LINES_MAX, bytes: BATCH_BYTES_MAX };
    const { outbox } = this.#parts.journal;
    const batch = outbox.nextBatch({ ...limits, without: this.#stuck });
    if (batch.length > 0 || this.#stuck.size === 0) return batch;
    this.#stuck.clear();
    return outbox.nextBatch({ ...limits, without: this.#stuck });
  }

  /** Progress is a line that need not be sent again. Without any it is waited, however politely the CP answered. */
  async #taken(
    journalId: JournalId,
    batch: readonly OutboxLine[],
    answer: EventsAnswer,
  ): Promise<{ kind: "sent" } | { kind: "failed"; retryAfterSecs: null }> {
    if (this.#isSetBack(batch, answer)) {
      await this.#refused(journalId, "set-back");
      return { kind: "sent" };
    }
    await this.#parts.mailbox.submit({ kind: "OutboxAcked", journalId, streams: answer.streams });
    for (const { line, reason } of answer.badLines)
      this.#parts.onTrouble(`the control plane could not read line ${line} of a batch`, reason);
    let progress = false;
    for (const { rolloutId, seq } of batch) {
      const stream = answer.streams[rolloutId];
      if (stream !== undefined && seq <= stream.ackedThrough) progress = true;
      else this.#stuck.add(rolloutId);
    }
    if (progress) return { kind: "sent" };
    this.#parts.askHeartbeat();
    return { kind: "failed", retryAfterSecs: null };
  }
}
