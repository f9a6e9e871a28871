import { pause, type Random, type Timer } from "./ports.ts";

const FIRST_MS = 1000;
const MAX_MS = 60_000;
/** A control plane that asks for more would be taken for gone. */
const RETRY_AFTER_SECS_MAX = 600;

/** Full jitter up to 60 s, doubling from 1 s; what the answer's Retry-After asks for is the least (hazard 80). */
export class Backoff {
  readonly #timer: Timer;
  readonly #random: Random;
  #failures = 0;

  constructor(timer: Timer, random: Random) {
    this.#timer = timer;
    this.#random = random;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  async failed(signal: AbortSignal, retryAfterSecs: number | null = null): Promise<void> {
    await pause(this.#timer, this.nextMs(retryAfterSecs), signal);
  }

  /** How long to wait after one more failure. */
  nextMs(retryAfterSecs: number | null): number {
    const most = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    const least = Math.min(retryAfterSecs ?? 0, RETRY_AFTER_SECS_MAX) * 1000;
    return least + Math.ceil(most * this.#random.unit());
  }
}
