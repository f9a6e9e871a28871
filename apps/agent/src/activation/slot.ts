import type { HostRollout } from "@nixwave/effects";
import { CALLED_OFF } from "../ports.ts";
import { recordRef, sameRecord } from "./recordRef.ts";
import type { Task } from "./task.ts";

interface Held {
  readonly task: Task;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/**
 * Holds one task at a time. A task for another record, or a rollback after a switch, takes the place of the one that
 * runs, and begins when that one has ended: two of them must never fire side by side.
 */
export class TaskSlot {
  readonly #run: (task: Task) => Promise<void>;
  readonly #onTrouble: (cause: unknown) => void;
  readonly #inHand = new Set<Promise<void>>();
  #held: Held | null = null;
  #closed = false;

  constructor(run: (task: Task) => Promise<void>, onTrouble: (cause: unknown) => void) {
    this.#run = run;
    this.#onTrouble = onTrouble;
  }

  get task(): Task | null {
    return this.#held?.task ?? null;
  }

  /** The task, if it is about this very record. */
  taskOf(record: HostRollout): Task | null {
    const { task } = this;
    return task !== null && sameRecord(task.of, recordRef(record)) ? task : null;
  }

  /** Nothing where that task runs already, but for a round more if it is just saying what it saw. */
  begin(record: HostRollout, purpose: Task["purpose"]): void {
    if (this.#closed) return;
    const same = this.taskOf(record);
    if (same?.purpose === purpose) {
      if (same.stage === "reporting") same.again = true;
      return;
    }
    const former = this.#held;
    former?.abort.abort(CALLED_OFF);
    const abort = new AbortController();
    const task: Task = {
      of: recordRef(record),
      purpose,
      signal: abort.signal,
      stage: "preparing",
      again: false,
      obstacle: "",
      refusal: null,
    };
    const done = this.spawn(async () => {
      await former?.done;
      await this.#run(task);
    });
    const held: Held = { task, abort, done };
    this.#held = held;
    void done.then(() => {
      if (this.#held === held) this.#held = null;
    });
  }

  /** Work beside the task, that `close` waits for too. */
  spawn(work: () => Promise<void>): Promise<void> {
    const done = work().catch((cause: unknown) => {
      if (!this.#closed) this.#onTrouble(cause);
    });
    this.#inHand.add(done);
    void done.then(() => this.#inHand.delete(done));
    return done;
  }

  callOff(): void {
    this.#held?.abort.abort(CALLED_OFF);
  }

  /** Calls the task about this record off, and comes back when it has ended. */
  async end(record: HostRollout): Promise<void> {
    if (this.taskOf(record) === null) return;
    const done = this.#held?.done;
    this.callOff();
    await done;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.callOff();
    await Promise.all(this.#inHand);
  }
}
