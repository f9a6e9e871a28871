import { defineProject } from "vitest/config";

// A loaded machine is slow, and no test is about time: the limit only ends what hangs.
export default defineProject({
  test: {
    name: "effects",
    include: ["src/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
