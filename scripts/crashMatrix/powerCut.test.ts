import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cutPower } from "./powerCut.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-cut-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Files {
  readonly db: string;
  readonly wal: string;
}

function put(copies: readonly Files[], now: Files): string {
  for (const [index, { db, wal }] of copies.entries()) {
    const copy = join(folder, "copies", String(index + 9));
    mkdirSync(copy, { recursive: true });
    writeFileSync(join(copy, "db"), db);
    writeFileSync(join(copy, "wal"), wal);
  }
  const database = join(folder, "agent.db");
  writeFileSync(database, now.db);
  writeFileSync(`${database}-wal`, now.wal);
  return database;
}

const cut = (database: string, kept: number, within = false) => {
  const [copies, scratch] = [join(folder, "copies"), join(folder, "scratch")];
  const random = (below: number): number => Math.min(kept, below - 1);
  const { written, kept: keeps } = cutPower(database, { copies, within, random, scratch });
  return { written, kept: keeps, wal: readFileSync(`${database}-wal`, "utf8") };
};

const SYNCED: Files = { db: "db", wal: "head|one|" };

describe("what a power cut leaves", () => {
  test.each([
    ["none of what was written later", 0, "head|one|"],
    ["half of it", 3, "head|one|two"],
    ["all of it", 99, "head|one|two|three|"],
  ])("%s", (_, kept, wal) => {
    const database = put([SYNCED], { db: "db", wal: "head|one|two|three|" });
    expect(cut(database, kept)).toEqual({ written: 10, kept: Math.min(kept, 10), wal });
  });

  test("what lay behind the synced end stays where nothing was written over it", () => {
    const old = { db: "db", wal: "head|one|old|old|" };
    const database = put([old], { db: "db", wal: "head|one|two|TWO|" });
    expect(cut(database, 2)).toMatchObject({ written: 7, wal: "head|one|twd|old|" });
  });

  test("the newest copy counts, by number and not by name", () => {
    const database = put([{ db: "db", wal: "" }, SYNCED], { db: "db", wal: "head|one|two|" });
    expect(cut(database, 0)).toMatchObject({ written: 4, wal: "head|one|" });
  });

  test("within the last commit: the copy before it counts, unless the commit was not synced", () => {
    const before = { db: "db", wal: "head|" };
    expect(cut(put([before, SYNCED], SYNCED), 2, true)).toMatchObject({
      written: 4,
      wal: "head|on",
    });
    const later = { db: "db", wal: "head|one|two|" };
    expect(cut(put([before, SYNCED], later), 1, true)).toMatchObject({
      written: 4,
      wal: "head|one|t",
    });
  });

  test("a checkpoint that no copy has seen, or no copy at all: nothing can be said", () => {
    const checkpointed = put([SYNCED], { db: "DB", wal: "" });
    expect(() => cut(checkpointed, 0)).toThrow("a checkpoint that was not copied");
    mkdirSync(join(folder, "none"));
    const options = { copies: join(folder, "none"), within: false, scratch: folder };
    expect(() => cutPower(checkpointed, { ...options, random: () => 0 })).toThrow("has no copy");
  });
});
