import { type Desk, say } from "./desk.ts";
import { NoAnswer } from "./refusal.ts";

/**
 * Once it has answered, a control plane that is away for a moment (restarted, upgraded) ends nothing that waits for it: it is asked
 * again, and a person is told once each time.
 */
export class Patience {
  readonly #desk: Desk;
  #isKnown = false;
  #isAway = false;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** Null where there was no answer now, or the person has stopped waiting: wait, and ask again. */
  async ask<T>(question: () => Promise<T>): Promise<T | null> {
    try {
      const answer = await question();
      this.#isKnown = true;
      this.#isAway = false;
      return answer;
    } catch (cause) {
      if (this.#desk.surroundings.stop.aborted) return null;
      if (!this.#isKnown || !(cause instanceof NoAnswer)) throw cause;
      if (!this.#isAway) say(this.#desk, `${cause.message} Trying again.`);
      this.#isAway = true;
      return null;
    }
  }
}
