import { defineProject } from "vitest/config";

// These start compilers and old Nodes, which is slow on a busy machine.
export default defineProject({
  test: { name: "scripts", include: ["**/*.test.ts"], testTimeout: 60_000 },
});
