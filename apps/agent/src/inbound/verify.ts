import type { ClosureHash, HostName, Instant } from "@nixwave/effects";
import type { DispatchOffer, Holding } from "@nixwave/protocol";
import type { Activation } from "../activation/activation.ts";
import { isBusy } from "../activation/seen.ts";
import { Backoff } from "../backoff.ts";
import type { Mailbox } from "../input.ts";
import type { Journal } from "../journal/journal.ts";
import { CALLED_OFF, type Random, type Timer } from "../ports.ts";
import { type HostReleases, isPassing } from "../releases.ts";

export interface VerifierParts {
  readonly host: HostName;
  readonly journal: Journal;
  readonly releases: HostReleases;
  readonly activation: Activation;
  readonly mailbox: Mailbox;
  readonly timer: Timer;
  readonly random: Random;
  readonly now: () => Instant;
  /** What expiry is measured by: no clock that was set back makes old metadata valid again. */
  readonly trustNow: () => Instant;
  /** The newest metadata may be others now. */
  readonly onMetadata: () => Promise<void>;
  readonly onTrouble: (message: string, cause: unknown) => void;
}

/** About a minute: what is not to be had for longer is told to the CP, which asks again later. */
const TRIES_MAX = 8;

interface Verification {
  readonly offer: DispatchOffer;
  leaseUntil: Instant;
}

/**
 * Reads and verifies the release that a dispatch names, one at a time, and reads from the system what the
 * acknowledgement has to say. Its answer is an input; until then the poll renews the lease of what it holds.
 */
export class Verifier {
  readonly #parts: VerifierParts;
  readonly #closed = new AbortController();
  #running: { readonly work: Verification; readonly done: Promise<void> } | null = null;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  /** Nothing while one is verified: the lease of the other runs out, and it comes again. */
  verify(offer: DispatchOffer, leaseUntil: Instant): void {
    if (this.#running !== null || this.#closed.signal.aborted) return;
    const work: Verification = { offer, leaseUntil };
    const done = this.#verify(work)
      .catch((cause: unknown) => {
        if (!this.#closed.signal.aborted) this.#parts.onTrouble("a dispatch was given up", cause);
      })
      .finally(() => {
        this.#running = null;
      });
    this.#running = { work, done };
  }

  get holding(): Holding | null {
    if (this.#running === null) return null;
    const { rolloutId, attempt } = this.#running.work.offer;
    return { rolloutId, attempt };
  }

  /** The poll has renewed the lease of what is held. */
  renewed(held: Holding, leaseUntil: (leaseSecs: number) => Instant): void {
    const work = this.#running?.work;
    if (work?.offer.rolloutId === held.rolloutId && work.offer.attempt === held.attempt)
      work.leaseUntil = leaseUntil(work.offer.leaseSecs);
  }

  /** Resolves when nothing is verified. */
  async idle(): Promise<void> {
    await this.#running?.done;
  }

  async close(): Promise<void> {
    this.#closed.abort(CALLED_OFF);
    this.#parts.releases.close();
    await this.idle();
  }

  async #verify(work: Verification): Promise<void> {
    const { mailbox, host, activation, releases } = this.#parts;
    const { offer } = work;
    const { channel, ref } = offer;
    const backoff = new Backoff(this.#parts.timer, this.#parts.random);
    for (let tries = 1; ; tries += 1) {
      const found = await releases.find({ channel, ref, host }, this.#parts.trustNow());
      if (this.#closed.signal.aborted) return;
      await this.#parts.onMetadata();
      const { leaseUntil } = work;
      if (found.ok) {
        const running = await this.#pinnedRunning();
        const busy = await isBusy(activation);
        const verified = { ...found.value, leaseUntil: work.leaseUntil, running, busy };
        await mailbox.submit({ kind: "ReleaseVerified", offer, ...verified });
        return;
      }
      const refusal = found.error;
      const isOver = tries === TRIES_MAX || this.#parts.now() > leaseUntil;
      if (!isPassing(refusal.code) || isOver) {
        await mailbox.submit({ kind: "ReleaseRefused", offer, leaseUntil, refusal });
        return;
      }
      await backoff.failed(this.#closed.signal);
    }
  }

  /**
   * What runs now. Before the first acknowledgement it is pinned as known good, outside the journal: should that be lost
   * right after it, the next one must not take the new closure for the one that ran before.
   */
  async #pinnedRunning(): Promise<ClosureHash | null> {
    const { activation, journal } = this.#parts;
    const { running } = await activation.system();
    if (journal.facts().knownGood.length === 0 && running !== null)
      await activation.pin("known-good", running);
    return running;
  }
}
