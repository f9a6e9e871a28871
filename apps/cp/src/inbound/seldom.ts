import { addSecs, type Instant } from "@nixwave/effects";

/** Long enough that a client which tries again and again costs a few lines an hour, short enough to see that it still does. */
const AGAIN_SECS = 600;
/** Keys are made of what strangers send: beyond this many nothing is said of new ones until the old ones are over. */
const KEYS_MAX = 256;

/** Says the same thing seldom, and a limited number of different things: for log lines that strangers can cause. */
export class Seldom {
  readonly #until = new Map<string, Instant>();

  isDue(key: string, now: Instant): boolean {
    const until = this.#until.get(key);
    if (until !== undefined && now < until) return false;
    if (this.#until.size >= KEYS_MAX) {
      for (const [each, over] of this.#until) if (now >= over) this.#until.delete(each);
      if (this.#until.size >= KEYS_MAX) return false;
    }
    this.#until.set(key, addSecs(now, AGAIN_SECS));
    return true;
  }
}
