import { expect, test } from "vitest";
import { randomScenario } from "./randomScenario.ts";
import { runWorld } from "./run.ts";

// Memory and SQLite's files answer alike: the same world over either is the same, line by line. No power is cut in these.
test.for([3, 7, 23, 52])("a world is the same in memory and in files: seed %i", async (seed) => {
  const scenario = randomScenario(seed);
  const memory = await runWorld({ ...scenario, inFiles: false }, { isTold: true });
  const files = await runWorld({ ...scenario, inFiles: true }, { isTold: true });
  expect(memory.failure).toBeNull();
  expect(files.lines).toEqual(memory.lines);
});
