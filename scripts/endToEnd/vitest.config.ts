import { defineProject } from "vitest/config";

// Fleets of real processes, which mostly wait: for a soak, a probe, a process that starts.
export default defineProject({
  test: {
    name: "endToEnd",
    include: ["**/*.test.ts"],
    testTimeout: 600_000,
    // A fleet is started in a hook, and may take minutes on a busy machine.
    hookTimeout: 600_000,
    // One file at a time, after all others; `pnpm verify` runs them beside the others. A fleet is five processes or more: two of
    // them at once keep two cores busy, a third only makes all slower.
    maxWorkers: 1,
    maxConcurrency: 2,
  },
});
