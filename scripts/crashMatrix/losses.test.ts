import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrateJournal } from "@nixwave/agent";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Logged } from "../endToEnd/streams.ts";
import { journalLoss } from "./losses.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-losses-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Line {
  readonly seq: number;
  readonly hash?: string;
  readonly sent?: boolean;
}

const STREAM = "web-1 j1 stable@a1";

/** A journal with these lines in its outbox, and a record that counts them. */
function journal(name: string, lines: readonly Line[]): string {
  const path = join(folder, `${name}.db`);
  const db = new Database(path);
  migrateJournal(db);
  db.prepare("INSERT INTO meta (key, value) VALUES ('journalId', '\"j1\"')").run();
  const record = JSON.stringify({ lastSeq: Math.max(0, ...lines.map(({ seq }) => seq)) });
  db.prepare(
    "INSERT INTO host_rollouts (rollout_id, kind, record, in_force) VALUES ('stable@a1', 'Soaking', ?, 1)",
  ).run(record);
  for (const { seq, hash = `h${seq}`, sent = false } of lines)
    db.prepare(
      "INSERT INTO outbox (rollout_id, seq, kind, line, hash, bytes, sent) VALUES ('stable@a1', ?, 'k', 'l', ?, 1, ?)",
    ).run(seq, hash, sent ? 1 : 0);
  db.close();
  return path;
}

interface Drawn {
  readonly synced?: readonly Line[];
  readonly before: readonly Line[];
  readonly after: readonly Line[];
  readonly within?: boolean;
  readonly known?: number;
}

function lossOf({ synced = [], before, after, within = false, known = 0 }: Drawn) {
  const files = {
    synced: journal("synced", synced),
    before: journal("before", before),
    after: journal("after", after),
  };
  const logged: Logged = { lines: new Map(), twice: [], last: { [STREAM]: known } };
  return journalLoss({ host: "web-1", cut: { ...files, written: 0, kept: 0 }, within, logged });
}

const sent = (seq: number): Line => ({ seq, sent: true });

test("a suffix that nobody has seen may be lost", () => {
  const before = [sent(1), { seq: 2 }, { seq: 3 }];
  const { lines, faults, seen, damage } = lossOf({ before, after: [sent(1)], known: 1 });
  expect({ lines, faults, damage }).toEqual({ lines: 2, faults: [], damage: [] });
  expect([...seen]).toEqual([[`${STREAM} 1`, "h1"]]);
});

test.each<[string, Drawn, string]>([
  [
    "a line that was sent",
    { before: [sent(1), sent(2)], after: [sent(1)] },
    "2 was sent and is lost",
  ],
  [
    "a line before one that is there",
    { before: [{ seq: 1 }, { seq: 2 }, { seq: 3 }], after: [{ seq: 1 }, { seq: 3 }] },
    "3 is there, and",
  ],
  [
    "what the log has",
    { before: [{ seq: 1 }, { seq: 2 }], after: [{ seq: 1 }], known: 2 },
    "is known up to 2, and ends before that",
  ],
  [
    "a number that has another line now",
    { before: [{ seq: 1 }], after: [{ seq: 1, hash: "other" }] },
    "1 is another line after the cut",
  ],
  [
    "a number from nowhere",
    { before: [{ seq: 1 }], after: [{ seq: 1 }, { seq: 2 }] },
    "ends with 2, which was never written",
  ],
])("it may not lose or invent: %s", (_, drawn, fault) => {
  expect(lossOf(drawn).faults.join("\n")).toContain(fault);
});

test("a sent-mark that was torn was followed by no POST: what it marked may be lost", () => {
  const drawn = { synced: [{ seq: 1 }], before: [sent(1), sent(2)], after: [{ seq: 1 }] };
  expect(lossOf({ ...drawn, within: true })).toMatchObject({ lines: 1, faults: [] });
});
