import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { lockDataDir } from "./processLock.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "nixwave-lock-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

it("lets one in at a time, and the next when that one is gone: a file that is there is no lock (hazard 57)", () => {
  const dataDir = folder();
  const first = lockDataDir(dataDir);
  const second = lockDataDir(dataDir);
  expect(second.ok ? "locked twice" : second.error).toBe(
    `${dataDir}: another nixwave-cp works on this data directory. Stop it first, or name another with --data.`,
  );
  if (first.ok) first.value.release();
  expect(existsSync(join(dataDir, "cp.lock"))).toBe(true);
  const third = lockDataDir(dataDir);
  expect(third.ok).toBe(true);
  if (third.ok) third.value.release();
});

it("says which file it can't write", () => {
  const missing = join(folder(), "nowhere");
  const locked = lockDataDir(missing);
  expect(locked.ok ? "locked" : locked.error).toContain(join(missing, "cp.lock"));
});
