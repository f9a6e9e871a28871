import { randomScenario } from "./randomScenario.ts";
import { runWorld } from "./run.ts";
import { count, emptyTally } from "./tally.ts";

/** Runs the seeds that its parent sends, a chunk at a time, and sends back what they came to. */
process.on("message", (message: unknown) => {
  if (!Array.isArray(message)) return;
  void runAll(message.map(Number));
});

// Whoever asked is gone: nobody waits for the rest of the chunk.
process.once("disconnect", () => process.exit());

async function runAll(seeds: readonly number[]): Promise<void> {
  const tally = emptyTally();
  for (const seed of seeds) count(tally, await runWorld(randomScenario(seed), { isTold: false }));
  process.send?.(tally);
}
