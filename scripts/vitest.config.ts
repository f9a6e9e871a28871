import { defineProject } from "vitest/config";

// These start compilers and old Nodes, which is slow on a busy machine.
export default defineProject({
  test: {
    name: "scripts",
    include: ["**/*.test.ts"],
    // Projects of their own; the second is a task of its own too: pnpm test:system.
    exclude: ["endToEnd/**", "system/**", "**/node_modules/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // As many as there are cores: by default it is one fewer, and two cores would run one file after the other.
    maxWorkers: "100%",
  },
});
