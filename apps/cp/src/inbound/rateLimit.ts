import { type Instant, secsBetween } from "@nixwave/effects";

/** What one host may send; named in the wire document, since the agent paces itself by it. */
export const EVENTS_PER_SEC = 2;
export const EVENTS_BURST = 512;

interface Bucket {
  readonly tokens: number;
  readonly at: Instant;
}

/** Buckets of hosts that are full again are dropped when this many are kept, so that memory follows the busy hosts only. */
const BUCKETS_SWEPT_AT = 4096;

/** Sustained and at once. */
export interface Rate {
  readonly perSec: number;
  readonly burst: number;
}

/** A token bucket per host or address, in memory: a restart fills all of them, which a host can't bring about. */
export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();
  readonly #rate: Rate;

  constructor(rate: Rate = { perSec: EVENTS_PER_SEC, burst: EVENTS_BURST }) {
    this.#rate = rate;
  }

  /** Seconds to wait before `count` events would be let in, or 0 after taking them. Nothing is taken on a refusal. */
  take(who: string, count: number, now: Instant): number {
    const tokens = this.#tokens(who, now);
    // More than the burst at once would never be let in; the line limit of a batch lies below it.
    if (tokens < count) return Math.ceil((count - tokens) / this.#rate.perSec);
    if (this.#buckets.size >= BUCKETS_SWEPT_AT) this.#sweep(now);
    this.#buckets.set(who, { tokens: tokens - count, at: now });
    return 0;
  }

  #tokens(who: string, now: Instant): number {
    const { perSec, burst } = this.#rate;
    const bucket = this.#buckets.get(who);
    if (bucket === undefined) return burst;
    const secs = Math.max(0, secsBetween(bucket.at, now));
    return Math.min(burst, bucket.tokens + secs * perSec);
  }

  #sweep(now: Instant): void {
    for (const who of this.#buckets.keys()) {
      if (this.#tokens(who, now) >= this.#rate.burst) this.#buckets.delete(who);
    }
  }
}
