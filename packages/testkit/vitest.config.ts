import { defineProject } from "vitest/config";

// A loaded machine is slow, and no test is about time: the limits only end what hangs.
export default defineProject({
  test: {
    name: "testkit",
    include: ["src/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // As many as there are cores: by default it is one fewer, and two cores would run one file after the other.
    maxWorkers: "100%",
  },
});
