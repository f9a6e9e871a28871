import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isHostName } from "@nixwave/effects";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NO_CRASH } from "../crashPoint.ts";
import { createDatabase, databasePath, openDatabase } from "./database.ts";
import { sqliteStore } from "./sqlite.ts";
import type { Store } from "./store.ts";
import { withSyncCopies } from "./syncCopy.ts";

let folder: string;
let store: Store;
let close: () => void;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-sync-"));
  createDatabase(databasePath(folder));
  const db = openDatabase(databasePath(folder));
  store = sqliteStore(db, { crash: NO_CRASH });
  close = () => db.close();
});
afterEach(() => {
  close();
  rmSync(folder, { recursive: true, force: true });
});

const revoke = (names: readonly string[], to: Store): Promise<void> => {
  const revoked = names.filter(isHostName);
  return to.commit({
    segment: null,
    checkpoint: null,
    dropBefore: null,
    changes: [],
    observations: [{ kind: "RevocationsReplaced", revoked }],
  });
};

/** The revoked hosts as a copy has them. It is copied itself, since reading tidies up. */
function copied(number: number): number {
  const [path, copy] = [join(folder, "read.db"), join(folder, "copies", String(number))];
  copyFileSync(join(copy, "db"), path);
  copyFileSync(join(copy, "wal"), `${path}-wal`);
  const db = new Database(path);
  try {
    return Number(db.prepare("SELECT count(*) FROM revocations").pluck().get());
  } finally {
    db.close();
  }
}

test("each commit is in the newest copy, and the one before it in the other", async () => {
  const copying = withSyncCopies(store, join(folder, "copies"));
  await revoke(["web-1"], copying);
  await revoke(["web-1", "web-2"], copying);
  await revoke(["web-1", "web-2", "web-3"], copying);
  expect(readdirSync(join(folder, "copies")).sort()).toEqual(["3", "4"]);
  expect([copied(3), copied(4)]).toEqual([2, 3]);
});

test("a commit that failed is in no copy", async () => {
  const failing: Store = { ...store, commit: () => Promise.reject(new Error("disk full")) };
  const copying = withSyncCopies(failing, join(folder, "copies"));
  await expect(revoke(["web-1"], copying)).rejects.toThrow("disk full");
  expect(readdirSync(join(folder, "copies"))).toEqual(["1"]);
});

test("without the setting the store is the store", () => {
  expect(withSyncCopies(store, undefined)).toBe(store);
  expect(withSyncCopies(store, "")).toBe(store);
});
