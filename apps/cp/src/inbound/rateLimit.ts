import { type HostName, type Instant, secsBetween } from "@nixwave/effects";

/** What one host may send; named in the wire document, since the agent paces itself by it. */
export const EVENTS_PER_SEC = 2;
export const EVENTS_BURST = 512;

interface Bucket {
  readonly tokens: number;
  readonly at: Instant;
}

/** Buckets of hosts that are full again are dropped when this many are kept, so that memory follows the busy hosts only. */
const BUCKETS_SWEPT_AT = 4096;

/** A token bucket per host, in memory: a restart fills all of them, which a host can't bring about. */
export class RateLimit {
  readonly #buckets = new Map<HostName, Bucket>();

  /** Seconds to wait before `count` events would be let in, or 0 after taking them. Nothing is taken on a refusal. */
  take(host: HostName, count: number, now: Instant): number {
    const tokens = this.#tokens(host, now);
    // More than the burst at once would never be let in; the line limit of a batch lies below it.
    if (tokens < count) return Math.ceil((count - tokens) / EVENTS_PER_SEC);
    if (this.#buckets.size >= BUCKETS_SWEPT_AT) this.#sweep(now);
    this.#buckets.set(host, { tokens: tokens - count, at: now });
    return 0;
  }

  #tokens(host: HostName, now: Instant): number {
    const bucket = this.#buckets.get(host);
    if (bucket === undefined) return EVENTS_BURST;
    const secs = Math.max(0, secsBetween(bucket.at, now));
    return Math.min(EVENTS_BURST, bucket.tokens + secs * EVENTS_PER_SEC);
  }

  #sweep(now: Instant): void {
    for (const host of this.#buckets.keys()) {
      if (this.#tokens(host, now) >= EVENTS_BURST) this.#buckets.delete(host);
    }
  }
}
