import { type ChildProcess, fork } from "node:child_process";
import { add, emptyTally, type Tally } from "./tally.ts";

/** Small, so that a bound in seconds is kept; large enough that nobody waits for messages. */
const CHUNK = 10;

export interface PoolOptions {
  readonly from: number;
  readonly seeds: number;
  /** From one seed to the next. */
  readonly step: number;
  readonly jobs: number;
  readonly untilMs: number;
  readonly onChunk: (tally: Tally) => void;
}

/** Seeded worlds in `jobs` processes of their own. Rejects where one of them dies. */
export async function runSeeds({
  from,
  seeds,
  step,
  jobs,
  untilMs,
  onChunk,
}: PoolOptions): Promise<Tally> {
  const all = emptyTally();
  let next = from;
  const end = from + seeds * step;
  const take = (): readonly number[] => {
    if (Date.now() >= untilMs) return [];
    const length = Math.min(CHUNK, Math.ceil((end - next) / step));
    const chunk = Array.from({ length }, (_, index) => next + index * step);
    next += length * step;
    return chunk;
  };
  await Promise.all(
    Array.from({ length: jobs }, () =>
      work(take, (part) => {
        add(all, part);
        onChunk(all);
      }),
    ),
  );
  return all;
}

function work(take: () => readonly number[], onPart: (part: Tally) => void): Promise<void> {
  // Worlds make much that lives shortly: with a larger nursery the collector has a fifth less to do.
  const execArgv = [...process.execArgv, "--max-semi-space-size=64"];
  const child: ChildProcess = fork(new URL("worker.ts", import.meta.url), { execArgv });
  return new Promise((resolve, reject) => {
    const go = (): void => {
      const chunk = take();
      if (chunk.length === 0) child.disconnect();
      else child.send(chunk);
    };
    child.on("message", (part: Tally) => {
      onPart(part);
      go();
    });
    child.on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`a worker of the simulator ended with ${code}`)),
    );
    child.on("error", reject);
    go();
  });
}
