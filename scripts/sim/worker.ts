import { randomScenario } from "./randomScenario.ts";
import { runWorld } from "./run.ts";
import { count, emptyTally } from "./tally.ts";

/** Runs the seeds that its parent sends, a chunk at a time, and sends back what they came to. */
process.on("message", (message: unknown) => {
  if (!Array.isArray(message)) return;
  void runAll(message.map(Number));
});

async function runAll(seeds: readonly number[]): Promise<void> {
  const tally = emptyTally();
  for (const seed of seeds) count(tally, await runWorld(randomScenario(seed), { isTold: false }));
  process.send?.(tally);
}
