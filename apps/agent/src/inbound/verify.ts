import type { ClosureHash, HostName, Instant } from "@nixwave/effects";
import {
  type DispatchOffer,
  type Holding,
  type ReadFile,
  type ReleaseFile,
  type ReleaseProblem,
  readReleaseForHost,
} from "@nixwave/protocol";
import type { Activation } from "../activation/activation.ts";
import { isBusy } from "../activation/seen.ts";
import { Backoff } from "../backoff.ts";
import type { ControlPlane } from "../controlPlane.ts";
import type { Mailbox } from "../input.ts";
import type { Journal } from "../journal/journal.ts";
import type { Random, Timer } from "../ports.ts";

export interface VerifierParts {
  readonly host: HostName;
  readonly journal: Journal;
  readonly controlPlane: ControlPlane;
  readonly activation: Activation;
  readonly mailbox: Mailbox;
  readonly timer: Timer;
  readonly random: Random;
  readonly now: () => Instant;
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
    this.#closed.abort();
    await this.idle();
  }

  async #verify(work: Verification): Promise<void> {
    const { mailbox, host, activation } = this.#parts;
    const { offer } = work;
    const files: ReleaseFile[] = [];
    const read = this.#reader(files);
    const backoff = new Backoff(this.#parts.timer, this.#parts.random);
    for (let tries = 1; ; tries += 1) {
      files.length = 0;
      const { channel, ref } = offer;
      const release = await readReleaseForHost(read, { channel, ref, host });
      if (this.#closed.signal.aborted) return;
      const { leaseUntil } = work;
      if (release.ok) {
        const running = await this.#pinnedRunning();
        const busy = await isBusy(activation);
        await mailbox.submit({
          kind: "ReleaseVerified",
          offer,
          leaseUntil: work.leaseUntil,
          release: release.value,
          files: [...files],
          running,
          busy,
        });
        return;
      }
      const retryable = mayPass(release.error);
      if (!retryable || tries === TRIES_MAX || this.#parts.now() > leaseUntil) {
        const { reason } = release.error;
        await mailbox.submit({ kind: "ReleaseRefused", offer, leaseUntil, reason, retryable });
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

  /** Files are named by their hashes, so one that is kept is as good as one that is fetched. */
  #reader(files: ReleaseFile[]): ReadFile {
    const { journal, controlPlane } = this.#parts;
    return async (path) => {
      const kept = journal.releaseFile(path);
      const bytes = kept ?? (await this.#fetch(controlPlane, path));
      if (bytes !== null) files.push({ path, bytes });
      return bytes;
    };
  }

  async #fetch(controlPlane: ControlPlane, path: string): Promise<Uint8Array | null> {
    const { journalId } = this.#parts.journal.facts();
    const call = await controlPlane.releaseFile(journalId, path, this.#closed.signal);
    switch (call.kind) {
      case "answered":
        return call.value;
      case "problem":
        throw new Error(call.detail);
      case "unreachable":
        throw new Error(call.reason);
    }
  }
}

/** What another try may find otherwise; a wrong hash or an unknown field stays what it is. */
function mayPass({ code }: ReleaseProblem): boolean {
  switch (code) {
    case "missing":
    case "unreadable":
      return true;
    case "wrong-length-or-hash":
    case "malformed":
    case "unknown-critical":
    case "wrong-channel":
    case "inconsistent":
    case "not-listed":
      return false;
  }
}
