import { type ChildProcess, fork } from "node:child_process";
import { add, emptyTally, lost, type Tally } from "./tally.ts";
import type { Sent } from "./worker.ts";

/** Small, so that a bound in seconds is kept; large enough that nobody waits for messages. */
const CHUNK = 10;
/** Worlds that may cost their worker: each was told, and more of them would only take long. */
export const LOST_MAX = 5;

export interface PoolOptions {
  readonly from: number;
  readonly seeds: number;
  /** From one seed to the next. */
  readonly step: number;
  readonly jobs: number;
  readonly untilMs: number;
  /** Real time for one world. Whoever takes longer is stuck. */
  readonly worldMsMax: number;
  readonly onWorld: (tally: Tally) => void;
}

/**
 * Seeded worlds in `jobs` processes of their own. A world that ends its process, or does not end, has failed like any other, and
 * another process goes on. Rejects where one ends that is in no world.
 */
export async function runSeeds(options: PoolOptions): Promise<Tally> {
  const { from, seeds, step, jobs, untilMs, worldMsMax, onWorld } = options;
  const all = emptyTally();
  let next = from;
  let lostWorlds = 0;
  const end = from + seeds * step;
  const take = (): readonly number[] => {
    if (Date.now() >= untilMs || lostWorlds >= LOST_MAX) return [];
    const length = Math.min(CHUNK, Math.ceil((end - next) / step));
    const chunk = Array.from({ length }, (_, index) => next + index * step);
    next += length * step;
    return chunk;
  };
  const tell = (part: Tally): void => {
    add(all, part);
    onWorld(all);
  };
  const one = async (): Promise<void> => {
    for (let seedsLeft = take(); seedsLeft.length > 0; ) {
      const after = await new Worker(seedsLeft, { take, tell, worldMsMax }).ended;
      if (after === null) return;
      tell(lost(after.seed, after.why));
      lostWorlds += 1;
      seedsLeft = lostWorlds >= LOST_MAX ? [] : after.rest.length > 0 ? after.rest : take();
    }
  };
  await Promise.all(Array.from({ length: jobs }, one));
  return all;
}

interface Lost {
  readonly seed: number;
  readonly why: string;
  /** The seeds that it has not come to. */
  readonly rest: readonly number[];
}

interface Work {
  readonly take: () => readonly number[];
  readonly tell: (part: Tally) => void;
  readonly worldMsMax: number;
}

/** One process. The seed that it is at is the first of those that it has not answered. */
class Worker {
  /** Null where it came to the end of all seeds. */
  readonly ended: Promise<Lost | null>;
  readonly #child: ChildProcess;
  readonly #work: Work;
  #seeds: readonly number[];
  #isReady = false;
  #isLate = false;
  #limit: NodeJS.Timeout | undefined;

  constructor(seeds: readonly number[], work: Work) {
    this.#seeds = seeds;
    this.#work = work;
    // Worlds make much that lives shortly: with a larger nursery the collector has a fifth less to do.
    const execArgv = [...process.execArgv, "--max-semi-space-size=64"];
    this.#child = fork(new URL("worker.ts", import.meta.url), { execArgv });
    this.#child.on("message", (sent: Sent) => this.#heard(sent));
    this.ended = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("exit", (code, signal) => {
        clearTimeout(this.#limit);
        const [seed, ...rest] = this.#seeds;
        const end = signal ?? code;
        if (seed === undefined && code === 0) resolve(null);
        else if (seed === undefined || !this.#isReady)
          reject(new Error(`a worker of the simulator ended with ${end}, outside of any world`));
        else
          resolve({
            seed,
            rest,
            why: this.#isLate ? this.#late() : `its process ended with ${end}`,
          });
      });
    });
  }

  #heard(sent: Sent): void {
    clearTimeout(this.#limit);
    if (sent === "ready") {
      this.#isReady = true;
      this.#child.send(this.#seeds);
    } else {
      this.#seeds = this.#seeds.slice(1);
      this.#work.tell(sent);
      if (this.#seeds.length === 0) {
        this.#seeds = this.#work.take();
        if (this.#seeds.length === 0) return this.#child.disconnect();
        this.#child.send(this.#seeds);
      }
    }
    this.#limit = setTimeout(() => {
      this.#isLate = true;
      this.#child.kill("SIGKILL");
    }, this.#work.worldMsMax);
    return undefined;
  }

  readonly #late = (): string => `did not end within ${this.#work.worldMsMax / 1000} s`;
}
