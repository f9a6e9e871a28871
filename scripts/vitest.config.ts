import { defineProject } from "vitest/config";

// These start compilers and old Nodes, which is slow on a busy machine.
export default defineProject({
  test: {
    name: "scripts",
    include: ["**/*.test.ts"],
    // A task of its own: pnpm test:system.
    exclude: ["system/**", "**/node_modules/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A fleet is five processes or more: two of them at once keep two cores busy, a third only makes all slower.
    maxConcurrency: 2,
  },
});
