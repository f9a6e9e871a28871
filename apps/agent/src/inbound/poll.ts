import { addSecs, type Instant } from "@nixwave/effects";
import type { DispatchOffer } from "@nixwave/protocol";
import { Backoff } from "../backoff.ts";
import { type ControlPlane, refusedJournal } from "../controlPlane.ts";
import type { Mailbox } from "../input.ts";
import type { Journal } from "../journal/journal.ts";
import { newJournalId } from "../outbox.ts";
import { CALLED_OFF, pause, type Random, type Timer } from "../ports.ts";
import type { Verifier } from "./verify.ts";

export interface PollParts {
  readonly journal: Journal;
  readonly controlPlane: ControlPlane;
  readonly mailbox: Mailbox;
  readonly verifier: Verifier;
  readonly timer: Timer;
  readonly random: Random;
  readonly now: () => Instant;
  readonly waitSecs: number;
  /** A control plane that went away may come back with less than it had: it is told soon what this journal keeps. */
  readonly askHeartbeat: () => void;
  readonly onTrouble: (message: string, cause: unknown) => void;
}

/** How often the lease of a dispatch that is being verified is renewed: well within its 120 s. */
const RENEW_EVERY_MS = 30_000;
/** While a rejection is unacknowledged nothing is polled; it is looked again at each commit, and this often. */
const REJECTED_LOOK_MS = 60_000;

/** The long-poll: one request at a time, and the next one only when the last answer was dealt with. */
export class Poller {
  readonly #parts: PollParts;
  readonly #closed = new AbortController();
  readonly #backoff: Backoff;
  /** The last answer was a dispatch, and the pause after it is still to come. */
  #paceIsOwed = false;
  #wake: (() => void) | null = null;

  constructor(parts: PollParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.timer, parts.random);
  }

  /** Something was committed: a rejection may have been acknowledged. */
  poke(): void {
    this.#wake?.();
  }

  async run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await this.#round(signal);
      } catch (cause) {
        if (signal.aborted) return;
        this.#parts.onTrouble("polling for dispatches failed", cause);
        await this.#backoff.failed(signal);
      }
    }
  }

  close(): void {
    this.#closed.abort(CALLED_OFF);
    this.#wake?.();
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { journal, verifier, timer } = this.#parts;
    if (journal.outbox.hasUnacknowledged("DispatchReject")) return await this.#sleep(signal);
    const held = verifier.holding;
    if (held !== null) {
      await Promise.race([verifier.idle(), pause(timer, RENEW_EVERY_MS, signal)]);
      if (verifier.holding === null) return;
    } else if (this.#paceIsOwed) {
      this.#paceIsOwed = false;
      return await this.#backoff.failed(signal);
    }
    const { controlPlane, mailbox, random, now } = this.#parts;
    const { journalId } = journal.facts();
    const sentAt = now();
    // Holding something, there is nothing to wait for.
    const waitSecs = held === null ? this.#parts.waitSecs : 0;
    const call = await controlPlane.poll(journalId, { waitSecs, holding: held }, signal);
    if (signal.aborted) return;
    if (call.kind !== "answered") {
      const refused = refusedJournal(call);
      if (refused !== null) {
        const nextJournalId = newJournalId(random);
        await mailbox.submit({ kind: "JournalRefused", journalId, code: refused, nextJournalId });
      }
      const retryAfterSecs = call.kind === "problem" ? call.retryAfterSecs : null;
      await this.#backoff.failed(signal, retryAfterSecs);
      if (call.kind === "unreachable") this.#parts.askHeartbeat();
      return;
    }
    if (held !== null) verifier.renewed(held, (leaseSecs) => addSecs(sentAt, leaseSecs));
    if (call.value === null) return await this.#nothing(sentAt, signal);
    await this.#received(call.value, sentAt);
  }

  async #received(offer: DispatchOffer, sentAt: Instant): Promise<void> {
    const leaseUntil = addSecs(sentAt, offer.leaseSecs);
    await this.#parts.mailbox.submit({ kind: "DispatchReceived", offer, leaseUntil });
    // Dropped, refused or taken: a control plane that lies may offer it again at each poll. Only a poll in vain ends the doubling.
    this.#paceIsOwed = true;
  }

  /** A control plane that answers "nothing" before its time (it stops, or does not wait) must not be asked in a loop. */
  async #nothing(sentAt: Instant, signal: AbortSignal): Promise<void> {
    const waitedSecs = (this.#parts.now() - sentAt) / 1000;
    if (waitedSecs >= Math.min(1, this.#parts.waitSecs) && this.#parts.waitSecs > 0)
      return this.#backoff.succeeded();
    await this.#backoff.failed(signal);
  }

  async #sleep(signal: AbortSignal): Promise<void> {
    const look = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([woken, pause(this.#parts.timer, REJECTED_LOOK_MS, look.signal)]);
    look.abort(CALLED_OFF);
    this.#wake = null;
    if (signal.aborted) return;
  }
}
