import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createLogger } from "./logs.ts";

test("a line is JSON with its level, its instant, its fields and its sentence", () => {
  const dir = mkdtempSync(join(tmpdir(), "nixwave-log-"));
  const path = join(dir, "log");
  const file = openSync(path, "w");
  createLogger(file).log("warn", "release refused", { code: "older" });
  closeSync(file);
  const line: unknown = JSON.parse(readFileSync(path, "utf8"));
  expect(line).toMatchObject({ level: 40, code: "older", msg: "release refused" });
  rmSync(dir, { recursive: true });
});

test("a log that can't be written loses its lines and stops nobody", async () => {
  const full = openSync("/dev/full", "w");
  const logger = createLogger(full);
  for (let line = 0; line < 3; line++) logger.log("error", "the disk is full", {});
  await new Promise(setImmediate);
  closeSync(full);
});
