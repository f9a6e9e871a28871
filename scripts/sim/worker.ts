import { randomScenario } from "./randomScenario.ts";
import { runWorld } from "./run.ts";
import { count, emptyTally } from "./tally.ts";

/** What a worker sends: first that it is there, then what each of its seeds came to, in order. */
export type Sent = "ready" | ReturnType<typeof emptyTally>;

const send = (message: Sent): void => void process.send?.(message);

/** Runs the seeds that its parent sends, a chunk at a time. */
process.on("message", (message: unknown) => {
  if (!Array.isArray(message)) return;
  void runAll(message.map(Number));
});

// Whoever asked is gone: nobody waits for the rest of the chunk.
process.once("disconnect", () => process.exit());

send("ready");

async function runAll(seeds: readonly number[]): Promise<void> {
  for (const seed of seeds) {
    const tally = emptyTally();
    count(tally, await runWorld(randomScenario(seed), { isTold: false }));
    send(tally);
  }
}
