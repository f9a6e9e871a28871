import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Instant, isInstant } from "@nixwave/effects";
import { journal as journalOf, START } from "@nixwave/testkit";
import BetterSqlite3 from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Journal } from "./journal.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-sync-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const open = (syncCopyDir: string | undefined): Journal =>
  Journal.open({
    stateDir: join(folder, "state"),
    newJournalId: () => journalOf("a1"),
    wallMs: () => START,
    syncCopyDir,
  });

function at(ms: number): Instant {
  const instant = START + ms;
  if (!isInstant(instant)) throw new Error(`${instant} is no instant`);
  return instant;
}

/** The steady clock as the newest copy has it: what a power cut would leave. The copy is copied, since reading tidies up. */
function copied(): number {
  const copies = join(folder, "copies");
  const newest = Math.max(...readdirSync(copies).map(Number));
  const [path, copy] = [join(folder, "read.db"), join(copies, String(newest))];
  copyFileSync(join(copy, "db"), path);
  copyFileSync(join(copy, "wal"), `${path}-wal`);
  const db = new BetterSqlite3(path);
  try {
    const row = db
      .prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'steadyNow'")
      .get();
    return Number(row?.value ?? 0);
  } finally {
    db.close();
  }
}

test("what was synced is in the copy, and what was not synced comes with the next sync", () => {
  const journal = open(join(folder, "copies"));
  journal.commit("full", (tx) => tx.setSteadyNow(at(1)));
  expect(copied()).toBe(at(1));
  journal.commit("normal", (tx) => tx.setSteadyNow(at(2)));
  expect(copied()).toBe(at(1));
  journal.markSent([]);
  expect(copied()).toBe(at(2));
  journal.close();
});

test("a checkpoint syncs too, and two copies are kept", () => {
  const journal = open(join(folder, "copies"));
  // A commit's pages fill the log until it is written back, none of them synced by itself.
  for (let count = 1; count <= 1500; count += 1)
    journal.commit("normal", (tx) => tx.setSteadyNow(at(count)));
  expect(copied()).toBeGreaterThan(at(500));
  expect(readdirSync(join(folder, "copies"))).toHaveLength(2);
  journal.close();
});

test("without the setting nothing is copied", () => {
  const journal = open("");
  journal.commit("full", (tx) => tx.setSteadyNow(at(1)));
  expect(readdirSync(folder)).toEqual(["state"]);
  journal.close();
});
