import { addSecs, type Instant } from "@nixwave/effects";
import type { NotNow } from "./command.ts";
import type { Logger } from "./ports.ts";

/** While commits fail, the disk is tried at most so often: each failure costs loading the memory again. */
const TRY_AGAIN_SECS = 1;
const RETRY_AFTER_SECS = 5;

/** From the first commit that fails to the next one that succeeds: said once at each end, whatever is refused between. */
export class Outage {
  readonly #logger: Logger;
  readonly #place: string;
  #tryAgainAt: Instant | null = null;

  constructor(logger: Logger, place: string) {
    this.#logger = logger;
    this.#place = place;
  }

  get lasts(): boolean {
    return this.#tryAgainAt !== null;
  }

  /** It is too early to try again. */
  refuses(now: Instant): boolean {
    return this.#tryAgainAt !== null && now < this.#tryAgainAt;
  }

  failed(cause: unknown, now: Instant): void {
    if (this.#tryAgainAt === null)
      this.#logger.log(
        "error",
        `${this.#place} can't be written: nothing is accepted until it can`,
        {
          target: "store",
          path: this.#place,
          cause: cause instanceof Error ? cause.message : String(cause),
        },
      );
    this.#tryAgainAt = addSecs(now, TRY_AGAIN_SECS);
  }

  over(): void {
    if (this.#tryAgainAt === null) return;
    this.#tryAgainAt = null;
    this.#logger.log("info", `${this.#place} can be written again`, {
      target: "store",
      path: this.#place,
    });
  }

  notStored(): NotNow {
    return notNow(
      "not-stored",
      `${this.#place} can't be written: nothing was stored. Free space there or make it writable.`,
    );
  }
}

export const notNow = (code: NotNow["code"], sentence: string): NotNow => ({
  kind: "not-now",
  code,
  sentence,
  retryAfterSecs: RETRY_AFTER_SECS,
});
