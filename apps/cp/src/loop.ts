import type { Fleet, Instant, Offset, Sha256 } from "@nixwave/effects";
import type { Submit } from "./command.ts";
import { CommandQueue } from "./commandQueue.ts";
import { type Pending, pend } from "./commit/pending.ts";
import { nextTickAt } from "./commit/turn.ts";
import { notNow } from "./outage.ts";
import type { PerformContext } from "./perform/perform.ts";
import type { Clock, Random, Timer } from "./ports.ts";
import { Served } from "./served.ts";
import type { Store } from "./store/store.ts";

/** The one writer of this process. */
export interface Writer {
  readonly submit: Submit;
  /** As of the last commit; for reads only, between two turns of the event loop (explainHost, waiting, counts). */
  fleet(): Fleet;
  /** The newest line's offset and the hash of its segment; null while the log is empty. */
  logHead(): { readonly offset: Offset; readonly hash: Sha256 } | null;
  /** From when silence and leases count: this process's start. */
  readonly readySince: Instant;
  /** True while commits fail; /readyz says so. */
  storeFailed(): boolean;
  /** True while the log replays and the repository's older releases were not taken for it yet. */
  wantsHeld(): boolean;
  /** Refuses new work, decides and commits what waits, then resolves. Does not close the store. */
  stop(): Promise<void>;
}

export interface WriterPorts extends PerformContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  /** A monotonic clock in milliseconds, for durations only: performance.now. */
  readonly ticks: () => number;
}

const STOPPING = notNow("stopping", "The control plane is stopping: come back in a moment.");
const QUEUE_FULL = notNow("queue-full", "Too much waits to be written: come back in a moment.");

/** Whatever waits is one batch, decided at one instant and committed in one transaction; the answers come after it. */
export async function createWriter(ports: WriterPorts): Promise<Writer> {
  const { clock, timer } = ports;
  const readySince = clock.now();
  const served = await Served.from(ports, readySince);
  const queue = new CommandQueue();
  let stopping = false;
  let running: Promise<void> | null = null;
  let cancelTick = (): void => undefined;

  const run = async (): Promise<void> => {
    while (!queue.isEmpty) await served.serve(queue.take(), { last: false });
    running = null;
    cancelTick();
    const due = nextTickAt(served.memory, clock.now());
    if (due !== null && !stopping) cancelTick = timer.at(due, tick);
  };
  const start = (): void => {
    running ??= new Promise<void>((resolve) => timer.soon(resolve)).then(run);
  };
  const enqueue = (pending: Pending): void => {
    if (queue.offer(pending)) start();
    else pending.refuse(QUEUE_FULL);
  };
  const tick = (): void => enqueue(pend({ kind: "Tick" }, () => undefined));
  start();

  return {
    readySince,
    submit: (command) =>
      new Promise((answer) => {
        if (stopping) answer(STOPPING);
        else enqueue(pend(command, answer));
      }),
    fleet: () => served.memory.fleet,
    logHead() {
      const { last, hash } = served.memory.head;
      return last === null ? null : { offset: last, hash };
    },
    storeFailed: () => served.storeFailed,
    wantsHeld: () => served.memory.replaying.size > 0 && !served.memory.heldTaken,
    async stop() {
      stopping = true;
      cancelTick();
      while (running !== null) await running;
      await served.serve([], { last: true });
    },
  };
}
