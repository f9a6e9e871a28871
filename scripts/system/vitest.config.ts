import { defineProject } from "vitest/config";

// Real hosts: these need root, Nix and systemd-nspawn, which .ci/run installs, and fail loudly without.
export default defineProject({
  test: {
    name: "system",
    include: ["**/*.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 120_000,
    // One file waits for five minutes; a third at once would only wait for the two cores.
    maxWorkers: 2,
    sequence: { groupOrder: 1 },
  },
});
