import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "cp", include: ["src/**/*.test.ts"] } });
