import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { init } from "../maintenance/init.ts";
import { createDatabase, databasePath, openDatabase, openReadOnly } from "./database.ts";
import { SCHEMA_VERSION } from "./schema.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-db-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

test("nothing but init makes a database, and init never replaces one (hazard 100)", () => {
  const path = databasePath(dir);
  expect(() => openDatabase(path)).toThrow(/There is no database at .*nixwave-cp init/);
  expect(existsSync(path)).toBe(false);
  init(dir);
  expect(() => init(dir)).toThrow(/is there already/);
  openDatabase(path).close();
});

test("a commit is durable: WAL with synchronous FULL", () => {
  init(dir);
  const db = openDatabase(databasePath(dir));
  expect(db.pragma("journal_mode", { simple: true })).toBe("wal");
  expect(db.pragma("synchronous", { simple: true })).toBe(2);
  db.close();
});

test("the views' connection can't write", () => {
  init(dir);
  const db = openReadOnly(databasePath(dir));
  expect(() => db.prepare("DELETE FROM rollouts").run()).toThrow(/readonly/);
  db.close();
});

test("a file that is not ours is refused with its name", () => {
  const path = join(dir, "other.db");
  writeFileSync(path, "not a database at all, but long enough to be looked at as one: ".repeat(20));
  expect(() => openDatabase(path)).toThrow(/other\.db can't be opened/);
  const foreign = join(dir, "foreign.db");
  const db = new Database(foreign);
  db.exec("CREATE TABLE a (b)");
  db.close();
  expect(() => openDatabase(foreign)).toThrow(/not a database of nixwave-cp/);
});

test("the next version's database can be opened, one after that is refused (hazard 100)", () => {
  const path = join(dir, "cp.db");
  createDatabase(path);
  const db = openDatabase(path);
  db.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
  openDatabase(path).close();
  db.pragma(`user_version = ${SCHEMA_VERSION + 2}`);
  db.close();
  expect(() => openDatabase(path)).toThrow(/schema version .* start the newer nixwave-cp/);
});

test("a database that could not be made whole is not there at all", () => {
  const path = databasePath(dir);
  const fails = () => {
    throw new Error("no space left");
  };
  expect(() => createDatabase(path, fails)).toThrow(/no space left/);
  expect(existsSync(path)).toBe(false);
  createDatabase(path);
  expect(existsSync(`${path}.partial`)).toBe(false);
});
