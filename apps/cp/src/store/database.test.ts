import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { START } from "@nixwave/testkit";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { init } from "../maintenance/init.ts";
import { createDatabase, databasePath, oldCopies, openDatabase, openReadOnly } from "./database.ts";
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
  init(dir, START);
  expect(() => init(dir, START)).toThrow(/is there already/);
  openDatabase(path).close();
});

test("a commit is durable: WAL with synchronous FULL", () => {
  init(dir, START);
  const db = openDatabase(databasePath(dir));
  expect(db.pragma("journal_mode", { simple: true })).toBe("wal");
  expect(db.pragma("synchronous", { simple: true })).toBe(2);
  db.close();
});

test("the views' connection can't write", () => {
  init(dir, START);
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

/** A database as the code at 9145bac, schema version 1, has left it: a host that converged, one that rolled back, a freeze, a second release. */
function versionOne(): string {
  const path = databasePath(dir);
  const db = new Database(path);
  db.exec(readFileSync(join(import.meta.dirname, "testdata/version-1.sql"), "utf8"));
  db.close();
  return path;
}

test("the database of an older version opens, and is migrated with all that was in it", () => {
  const db = openDatabase(versionOne());
  expect(db.pragma("user_version", { simple: true })).toBe(SCHEMA_VERSION);
  const count = (table: string) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get();
  expect([count("log_segments"), count("host_rollouts"), count("freezes")]).toEqual([13, 2, 1]);
  db.close();
});

test("a copy is made before each migration, is what was there, and is kept for two versions", () => {
  const path = versionOne();
  // Two versions are as far as anyone may roll back; another database's copies are nobody's here.
  for (const old of ["cp.db.v0", "other.db.v0"]) writeFileSync(join(dir, old), "old");
  openDatabase(path).close();
  const copy = new Database(`${path}.v1`, { readonly: true });
  expect(copy.pragma("user_version", { simple: true })).toBe(1);
  expect(copy.prepare("SELECT count(*) FROM log_segments").pluck().get()).toBe(13);
  copy.close();
  expect(
    readdirSync(dir)
      .filter((name) => name.includes(".v"))
      .sort(),
  ).toEqual(["cp.db.v0", "cp.db.v1", "other.db.v0"]);
});

test("a copy from more than two versions ago goes, and nothing else does", () => {
  const copies = ["cp.db.v1", "cp.db.v9", "cp.db.v10", "cp.db.v11", "cp.db.v12"];
  const others = [
    "cp.db",
    "cp.db-wal",
    "other.db.v1",
    "cp.db.v1.partial",
    "cp.db.old",
    "xcp.db.v1",
  ];
  expect(oldCopies("cp.db", [...copies, ...others], 12)).toEqual([
    "cp.db.v1",
    "cp.db.v9",
    "cp.db.v10",
  ]);
  expect(oldCopies("cp.db", [...copies, ...others], 1)).toEqual([]);
});

test("a migration that fails leaves the database as it was, with its copy", () => {
  const path = versionOne();
  const db = new Database(path);
  db.exec("CREATE TABLE checkpoints (mine INTEGER)");
  db.close();
  expect(() => openDatabase(path)).toThrow(/checkpoints already exists/);
  const after = new Database(path, { readonly: true });
  expect(after.pragma("user_version", { simple: true })).toBe(1);
  expect(
    after
      .prepare("SELECT count(*) FROM sqlite_master WHERE name = 'checkpoint_tables'")
      .pluck()
      .get(),
  ).toBe(0);
  after.close();
  expect(existsSync(`${path}.v1`)).toBe(true);
});
