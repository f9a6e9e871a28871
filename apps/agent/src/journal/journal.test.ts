import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FIRST_ATTEMPT, type HostRollout, openHostRollout } from "@nixwave/effects";
import {
  channelName,
  closure,
  hostName,
  journal as journalOf,
  rollout,
  START,
  terms,
} from "@nixwave/testkit";
import BetterSqlite3 from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { step } from "../decide/decision.ts";
import { Journal } from "./journal.ts";

let stateDir: string;
let journal: Journal;
const open = (): Journal =>
  Journal.open({ stateDir, newJournalId: () => journalOf("a1"), wallMs: () => START });

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "nixwave-journal-"));
  journal = open();
});
afterEach(() => {
  journal.close();
  rmSync(stateDir, { recursive: true, force: true });
});

const A = rollout("stable@a1");
const everything = { lines: 1e6, bytes: 1e9, without: new Set<string>() };

function pending(id = A): HostRollout {
  return openHostRollout({
    rolloutId: id,
    host: hostName("web-1"),
    channel: channelName("stable"),
    targetClosure: closure("new"),
    attempt: FIRST_ATTEMPT,
    dispatchedAt: START,
    soakDueAt: START,
    journalId: journalOf("a1"),
    terms: terms(),
  });
}

const REJECT = {
  kind: "DispatchReject",
  attempt: FIRST_ATTEMPT,
  dispatchedAt: START,
  soakDueAt: START,
  code: "held",
  reason: "held",
  retryable: true,
  rejectedAt: START,
} as const;

/** Commits one rejection on the record, and gives the record back. */
function reject(record: HostRollout): HostRollout {
  const after = step(record, REJECT, START).record ?? record;
  journal.commit("full", (tx) => {
    tx.putRecord(after, false);
    tx.appendLine(after, REJECT);
  });
  return after;
}

test("a stream is a chain: each line names the hash of the one before it, over restarts too", () => {
  let record = reject(pending());
  record = reject(record);
  journal.close();
  journal = open();
  reject(record);
  const lines = journal.outbox.nextBatch(everything).map(({ line }) => JSON.parse(line));
  expect(lines.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(lines[0].prev).toBeNull();
  expect(lines[1].prev).toMatch(/^[0-9a-f]{64}$/);
  expect(lines[2].prev).not.toBe(lines[1].prev);
});

test("a number is never used twice, whatever the code above believes", () => {
  const record = reject(pending());
  expect(() => {
    journal.commit("full", (tx) => tx.appendLine(record, REJECT));
  }).toThrow(/UNIQUE/);
});

test("what throws on its way leaves nothing behind (hazard 13)", () => {
  const after = step(pending(), REJECT, START).record ?? pending();
  expect(() => {
    journal.commit("full", (tx) => {
      tx.putRecord(after, false);
      tx.appendLine(after, REJECT);
      throw new Error("the process dies here");
    });
  }).toThrow("dies");
  expect(journal.record(A)).toBeNull();
  expect(journal.outbox.nextBatch(everything)).toEqual([]);
  expect(journal.outbox.size()).toEqual({ rows: 0, bytes: 0 });
});

test("batches keep to their limits, and streams that stand aside are left out", () => {
  const B = rollout("stable@b1");
  let [a, b] = [pending(), pending(B)];
  for (let round = 0; round < 5; round += 1) [a, b] = [reject(a), reject(b)];
  expect(journal.outbox.nextBatch({ ...everything, lines: 3 })).toHaveLength(3);
  const one = journal.outbox.nextBatch({ ...everything, bytes: 10 });
  expect(one).toHaveLength(1);
  const others = journal.outbox.nextBatch({ ...everything, without: new Set([A]) });
  expect(others.map(({ rolloutId }) => rolloutId)).toEqual([B, B, B, B, B]);
});

test("a replay sends again from the number that was asked for, what was refused included", () => {
  let record = pending();
  for (let round = 0; round < 4; round += 1) record = reject(record);
  const two = journal.outbox.nextBatch(everything)[1]?.seq;
  const four = journal.outbox.nextBatch(everything)[3]?.seq;
  if (two === undefined || four === undefined) throw new Error("four lines are there");
  const streams = { [A]: { ackedThrough: four, refused: [{ seq: two, code: "bad-event" }] } };
  journal.commit("full", (tx) => tx.apply({ kind: "LinesAcked", streams }));
  expect(journal.outbox.counts()).toMatchObject({ unacknowledged: 0, refused: 1 });
  journal.commit("full", (tx) => tx.apply({ kind: "LinesReplayed", from: { [A]: two } }));
  expect(journal.outbox.nextBatch(everything).map(({ seq }) => seq)).toEqual([2, 3, 4]);
});

test("what follows a line that is not kept any more is given up when the control plane waits for that line: it keeps nobody from polling", () => {
  const B = rollout("stable@b1");
  const [other, kept] = [pending(), pending(B)];
  const later = reject(reject(other));
  reject(kept);
  const acked = { [A]: { ackedThrough: later.lastSeq, refused: [] } };
  journal.commit("full", (tx) => tx.apply({ kind: "LinesAcked", streams: acked }));
  journal.outbox.prune([B]);
  const last = reject(later).lastSeq;
  expect(journal.outbox.hasUnacknowledged("DispatchReject")).toBe(true);
  const expected = journal.outbox
    .nextBatch(everything)
    .find(({ rolloutId }) => rolloutId === B)?.seq;
  if (expected === undefined) throw new Error("B's first line is there");
  const waits = { ackedThrough: 0 as const, expected, refused: [] };
  journal.commit("full", (tx) =>
    tx.apply({ kind: "LinesAcked", streams: { [A]: waits, [B]: waits } }),
  );
  // B still has what is waited for, and sends it again.
  expect(journal.outbox.nextBatch(everything).map(({ rolloutId }) => rolloutId)).toEqual([B]);
  expect(journal.outbox.refused()).toMatchObject([{ rolloutId: A, seq: last, code: "cut-off" }]);
});

test("a record that a newer version wrote is left alone, and its lines go out as they are", () => {
  reject(pending());
  journal.close();
  const db = new BetterSqlite3(join(stateDir, "agent.db"));
  db.prepare(
    "UPDATE host_rollouts SET kind = 'Hovering', in_force = 1, acked_order = 1, record = json_set(record, '$.kind', 'Hovering')",
  ).run();
  db.pragma("user_version = 7");
  db.exec("CREATE TABLE of_the_future (x INTEGER)");
  db.close();
  journal = open();
  expect(journal.load(A)).toMatchObject({ record: null, opaque: true, current: null });
  expect(journal.records.streams()).toEqual([{ rolloutId: A, attempt: 1, lastSeq: 1 }]);
  expect(journal.outbox.nextBatch(everything)).toHaveLength(1);
  expect(journal.load(rollout("stable@b1")).previous).toEqual({
    rolloutId: A,
    journalId: journalOf("a1"),
    lastSeq: 1,
  });
});
