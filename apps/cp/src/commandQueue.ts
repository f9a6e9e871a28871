import type { Command } from "./command.ts";
import type { Pending } from "./commit/pending.ts";

/** A second's worth for a busy control plane; more would only make every answer later than the client waits. */
const COMMANDS_MAX = 4096;
/** Lines are the only thing in a command that can be large. */
const QUEUE_CHARS_MAX = 64 * 1024 * 1024;
/** One transaction: large enough to share an fsync among all that came together, small enough to answer within a second. */
const BATCH_COMMANDS_MAX = 512;
const BATCH_LINES_MAX = 4096;

const NOTHING: readonly string[] = [];
const linesOf = (command: Command): readonly string[] =>
  command.kind === "AgentEvents" ? command.lines : NOTHING;
const chars = (command: Command): number =>
  linesOf(command).reduce((sum, line) => sum + line.length, 0);

/** Bounded: what does not fit is refused at once, and the client comes again. */
export class CommandQueue {
  #waiting: Pending[] = [];
  #chars = 0;

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** False where it is full. */
  offer(pending: Pending): boolean {
    const size = chars(pending.command);
    if (this.#waiting.length >= COMMANDS_MAX || this.#chars + size > QUEUE_CHARS_MAX) return false;
    this.#waiting.push(pending);
    this.#chars += size;
    return true;
  }

  /** What waits, up to the limits of one batch; at least one where there is any. */
  take(): readonly Pending[] {
    let lines = 0;
    let count = 0;
    for (const { command } of this.#waiting) {
      lines += linesOf(command).length;
      if (count > 0 && (count >= BATCH_COMMANDS_MAX || lines > BATCH_LINES_MAX)) break;
      count += 1;
    }
    const taken = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    for (const { command } of taken) this.#chars -= chars(command);
    return taken;
  }
}
