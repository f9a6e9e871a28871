import { defineConfig } from "vitest/config";
import { LongestFirst } from "./scripts/system/longestFirst.ts";

// .ci/run counts tests from this file; a terminal needs only the default reporter.
const results = process.env["NIXWAVE_TEST_RESULTS"];

export default defineConfig({
  test: {
    projects: ["packages/*", "apps/*", "scripts", "scripts/endToEnd", "scripts/system"],
    sequence: { sequencer: LongestFirst },
    reporters: results === undefined ? ["default"] : ["default", "json"],
    ...(results === undefined ? {} : { outputFile: { json: results } }),
    coverage: {
      include: ["packages/*/src/**/*.ts", "apps/*/src/**/*.ts"],
      exclude: ["**/*.test.ts"],
    },
  },
});
