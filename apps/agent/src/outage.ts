import { isDiskRefusal } from "./journal/openFile.ts";

/** A disk that is full or read-only is said once, with its path, and once more when it is over. */
export class Outage {
  readonly #onBegin: (error: unknown) => void;
  readonly #onEnd: () => void;
  #since: unknown = null;

  constructor(onBegin: (error: unknown) => void, onEnd: () => void) {
    this.#onBegin = onBegin;
    this.#onEnd = onEnd;
  }

  /** Whether the failure is the disk's, and passes by itself when there is space again. */
  covers(error: unknown): boolean {
    if (!isDiskRefusal(error)) return false;
    if (this.#since === null) this.#onBegin(error);
    this.#since = error;
    return true;
  }

  /** Something was written. */
  over(): void {
    if (this.#since === null) return;
    this.#since = null;
    this.#onEnd();
  }

  /** The sentence to show, while it lasts. */
  get reason(): string | null {
    return this.#since instanceof Error ? this.#since.message : null;
  }
}
