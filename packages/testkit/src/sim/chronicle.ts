import { createHash } from "node:crypto";

const WAITING_MAX = 16_384;

/** What happened in a world, in order. The hash covers every line, kept or not: two runs are the same if it is. */
export class Chronicle {
  readonly #hash = createHash("sha256");
  readonly #startMs: number;
  readonly #isKept: boolean;
  readonly #now: () => number;
  readonly #onLine: (line: string) => void;
  readonly lines: string[] = [];
  #count = 0;
  #waiting = "";

  constructor(options: {
    readonly now: () => number;
    readonly isKept: boolean;
    /** Hears each line at once: whoever never ends is told of all the same. */
    readonly onLine?: (line: string) => void;
  }) {
    this.#now = options.now;
    this.#startMs = options.now();
    this.#isKept = options.isKept;
    this.#onLine = options.onLine ?? (() => {});
  }

  get count(): number {
    return this.#count;
  }

  say(who: string, what: string): void {
    const line = `${clock(this.#now() - this.#startMs)} ${who}: ${what}`;
    this.#count += 1;
    this.#waiting += `${line}\n`;
    if (this.#waiting.length > WAITING_MAX) this.#take();
    if (this.#isKept) this.lines.push(line);
    this.#onLine(line);
  }

  /** Many lines at once: each call leaves JavaScript. */
  #take(): void {
    this.#hash.update(this.#waiting);
    this.#waiting = "";
  }

  /** Ends the hashing. */
  digest(): string {
    this.#take();
    return this.#hash.digest("hex");
  }
}

/** `1:02:03.004` from the world's start. */
function clock(ms: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const secs = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(secs / 3600), Math.floor(secs / 60) % 60];
  return `${hours}:${two(minutes)}:${two(secs % 60)}.${String(ms % 1000).padStart(3, "0")}`;
}
