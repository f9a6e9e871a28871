import type { Answer, Input, Mailbox } from "./input.ts";
import type { Outage } from "./outage.ts";
import { CALLED_OFF, pause, type Timer } from "./ports.ts";

export interface QueueParts {
  readonly timer: Timer;
  /** Takes one input to its end, synchronously. */
  readonly take: (input: Input) => Answer;
  readonly outage: Outage;
  /** Nothing can be taken any more: the process has to end. */
  readonly onBroken: (error: unknown) => void;
}

interface Letter {
  readonly input: Input;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
}

/** Probes and workers put in a handful a second at most: more means that nothing is taken out. */
const QUEUE_MAX = 1024;
/** A full disk is looked at again after so long. */
const OUTAGE_PAUSE_MS = 5000;

/** First in, first out, one at a time. What can't be committed now stays at the head until it can. */
export class Queue implements Mailbox {
  readonly #parts: QueueParts;
  readonly #closed = new AbortController();
  readonly #letters: Letter[] = [];
  #taking = false;

  constructor(parts: QueueParts) {
    this.#parts = parts;
  }

  submit(input: Input): Promise<Answer> {
    if (this.#closed.signal.aborted) return Promise.reject(new Error("the agent stops"));
    if (this.#letters.length >= QUEUE_MAX)
      return Promise.reject(new Error(`the mailbox is full: ${QUEUE_MAX} inputs wait`));
    return new Promise((resolve, reject) => {
      this.#letters.push({ input, resolve, reject });
      if (!this.#taking) void this.#takeAll();
    });
  }

  /** What waits comes again from its source after the next start. */
  close(): void {
    this.#closed.abort(CALLED_OFF);
    for (const { reject } of this.#letters.splice(0)) reject(new Error("the agent stops"));
  }

  async #takeAll(): Promise<void> {
    this.#taking = true;
    try {
      // The sender goes on before its input is taken, so that nobody is called back out of turn.
      await Promise.resolve();
      for (let head = this.#letters[0]; head !== undefined; head = this.#letters[0]) {
        if (this.#takeHead(head)) this.#letters.shift();
        else await pause(this.#parts.timer, OUTAGE_PAUSE_MS, this.#closed.signal);
      }
    } catch (error) {
      this.close();
      this.#parts.onBroken(error);
    } finally {
      this.#taking = false;
    }
  }

  /** False where the disk refuses. Throws where the input can never be taken. */
  #takeHead({ input, resolve, reject }: Letter): boolean {
    try {
      resolve(this.#parts.take(input));
    } catch (error) {
      if (this.#parts.outage.covers(error)) return false;
      reject(error);
      throw error;
    }
    return true;
  }
}
