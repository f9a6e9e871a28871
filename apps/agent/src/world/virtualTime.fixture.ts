import type { Clock, Timer } from "../ports.ts";

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
}

/** One time for a machine and everything on it: it passes only when a test says so. */
export class VirtualTime {
  #now: number;
  #order = 0;
  #entries: Entry[] = [];

  constructor(startMs: number) {
    this.#now = startMs;
  }

  get nowMs(): number {
    return this.#now;
  }

  readonly clock: Clock = { wallMs: () => this.#now, monotonicMs: () => this.#now };

  /** A timer of one process: once `isDead`, what it has set never fires. */
  timer(isDead: () => boolean): Timer {
    return {
      after: (ms, fire) => {
        const entry = {
          at: this.#now + Math.max(0, ms),
          order: this.#order++,
          fire: () => {
            if (!isDead()) fire();
          },
        };
        this.#entries.push(entry);
        return () => {
          this.#entries = this.#entries.filter((other) => other !== entry);
        };
      },
    };
  }

  /** Lets `secs` pass: timers fire in their order, and everything that they set off is done before the next. */
  async pass(secs: number): Promise<void> {
    const until = this.#now + secs * 1000;
    await settle();
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      const due = next;
      this.#entries = this.#entries.filter((other) => other !== due);
      this.#now = Math.max(this.#now, due.at);
      due.fire();
      await settle();
    }
    this.#now = until;
    await settle();
  }

  #next(until: number): Entry | undefined {
    return this.#entries
      .filter(({ at }) => at <= until)
      .sort((a, b) => a.at - b.at || a.order - b.order)[0];
  }
}

/** All promises that wait for nothing but each other are done when the macrotask queue is reached. */
async function settle(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
