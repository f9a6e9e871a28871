import type { Instant } from "@nixwave/effects";
import type { Mailbox } from "../input.ts";
import { CALLED_OFF, pause, type Random, type Timer } from "../ports.ts";
import type { HostReleases } from "../releases.ts";
import type { SteadyClock } from "../steadyClock.ts";

export interface MetadataWatchParts {
  readonly releases: HostReleases;
  readonly mailbox: Mailbox;
  readonly clock: SteadyClock;
  readonly timer: Timer;
  readonly random: Random;
  readonly trustNow: () => Instant;
  readonly onTrouble: (message: string, cause: unknown) => void;
}

/** Often enough that a fleet learns of rotated keys within two hours, without a dispatch; with jitter, so that it does not ask in step. */
const REFRESH_MS = 3_600_000;
/** After a start: soon, so that `status` says what is trusted, and not all hosts of a power cut at once. */
const FIRST_MS = 60_000;

/** Looks hourly for what the repository's owners have signed since, so that a host without dispatches is not left behind. */
export class MetadataWatch {
  readonly #parts: MetadataWatchParts;
  readonly #closed = new AbortController();
  #said: string | null = null;
  #signedAt: Instant | null = null;

  constructor(parts: MetadataWatchParts) {
    this.#parts = parts;
  }

  async run(): Promise<void> {
    const { releases, timer, random, trustNow, onTrouble } = this.#parts;
    const { signal } = this.#closed;
    if (releases.refresh === null) return;
    let waitMs = FIRST_MS * random.unit();
    while (!signal.aborted) {
      await pause(timer, waitMs, signal);
      if (signal.aborted) return;
      const refreshed = await releases.refresh(trustNow());
      if (signal.aborted) return;
      const trouble = refreshed.ok ? null : `${refreshed.error.code}: ${refreshed.error.reason}`;
      if (trouble !== null && trouble !== this.#said)
        onTrouble("the repository can't be trusted now", trouble);
      this.#said = trouble;
      await this.note();
      waitMs = REFRESH_MS * (0.75 + random.unit() / 2);
    }
  }

  /** What was verified is newer than what the clock and the journal know of, perhaps. */
  async note(): Promise<void> {
    const { releases, mailbox, clock } = this.#parts;
    const signedAt = releases.state?.signedAt ?? null;
    if (signedAt === null || signedAt === this.#signedAt) return;
    this.#signedAt = signedAt;
    clock.verified(signedAt);
    // A mailbox that is closed or full: the next start learns it from the repository.
    await mailbox.submit({ kind: "MetadataVerified", signedAt }).catch(() => {});
  }

  close(): void {
    this.#closed.abort(CALLED_OFF);
  }
}
