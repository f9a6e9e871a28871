import { addSecs, type Instant, instant, later } from "@nixwave/effects";
import type { Clock } from "./ports.ts";

/** A wall clock that is further ahead of the newest signed timestamp than this is wrong, and is ignored. */
const AHEAD_MAX_SECS = 30 * 24 * 3600;

export interface SteadyStart {
  /** The last `now` that the journal has committed, or null for a fresh one. */
  readonly journalNow: Instant | null;
  /** When the newest verified metadata was signed; null while nothing is signed. */
  readonly newestMetadataAt: Instant | null;
}

/**
 * The agent's `now`: the larger of the journal's last one and the wall clock at start, advanced by the monotonic clock.
 * It follows the wall clock forward only, and only while nothing is in flight, so that no jump ends a soak or a timeout.
 */
export class SteadyClock {
  readonly #clock: Clock;
  #newestMetadataAt: Instant | null;
  #base: Instant;
  #monotonicBase: number;

  constructor(clock: Clock, start: SteadyStart) {
    this.#clock = clock;
    this.#newestMetadataAt = start.newestMetadataAt;
    const wall = this.#trustedWall();
    const { journalNow } = start;
    this.#base = later(
      journalNow ?? wall ?? start.newestMetadataAt ?? instant(0),
      wall ?? instant(0),
    );
    this.#monotonicBase = clock.monotonicMs();
  }

  now(): Instant {
    const passedMs = Math.floor(this.#clock.monotonicMs() - this.#monotonicBase);
    return instant(this.#base + Math.max(0, passedMs));
  }

  /**
   * What expiry is measured by: the larger of this `now` and the wall clock, whatever that says. A wrong one makes metadata expire
   * too early, which starts nothing; none makes them valid again.
   */
  latest(): Instant {
    return later(this.now(), instant(Math.max(0, Math.floor(this.#clock.wallMs()))));
  }

  /** Newer metadata were verified: a wall clock that was ignored may be right after all. */
  verified(signedAt: Instant): void {
    this.#newestMetadataAt = later(signedAt, this.#newestMetadataAt ?? signedAt);
  }

  /** Only while nothing is in flight. */
  followWall(): void {
    const wall = this.#trustedWall();
    if (wall === null || wall <= this.now()) return;
    this.#base = wall;
    this.#monotonicBase = this.#clock.monotonicMs();
  }

  /** Whether the wall clock was ignored: for the log and for `status`. */
  get wallIsAhead(): boolean {
    return this.#trustedWall() === null;
  }

  #trustedWall(): Instant | null {
    const wall = instant(Math.max(0, Math.floor(this.#clock.wallMs())));
    if (this.#newestMetadataAt === null) return wall;
    return wall > addSecs(this.#newestMetadataAt, AHEAD_MAX_SECS) ? null : wall;
  }
}
