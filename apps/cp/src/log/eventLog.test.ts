import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instant, type Offset } from "@nixwave/effects";
import { storedLogLine } from "@nixwave/protocol";
import { channelName, hostName, journal, START } from "@nixwave/testkit";
import { describe, expect, test } from "vitest";
import { init } from "../maintenance/init.ts";
import { openDatabase } from "../store/database.ts";
import type { EventLog, LogFilter } from "./eventLog.ts";
import { memoryLog } from "./memoryLog.fixture.ts";
import { namesOf } from "./names.ts";
import {
  EMPTY_LOG,
  FIRST_OFFSET,
  headAfter,
  type LogHeadPosition,
  makeSegment,
  offsetAfter,
} from "./segment.ts";
import { sqliteLog } from "./sqliteLog.ts";

/** A log with the transaction that its caller has around each change. */
interface Kept {
  readonly log: EventLog;
  readonly inTransaction: (act: () => void) => void;
  readonly close: () => void;
}

function inDatabase(): Kept {
  const dir = mkdtempSync(join(tmpdir(), "nixwave-log-"));
  const db = openDatabase(init(dir, START).path);
  const log = sqliteLog(db);
  const close = (): void => {
    db.close();
    rmSync(dir, { recursive: true });
  };
  return { log, inTransaction: (act) => db.transaction(act).immediate(), close };
}

const inMemory = (): Kept => ({
  log: memoryLog(),
  inTransaction: (act) => act(),
  close: () => undefined,
});

/** Commits lines as the writer does; `fails` lets the rest of the transaction fail after the append. */
class Writing {
  head: LogHeadPosition = EMPTY_LOG;
  readonly #kept: Kept;

  constructor(kept: Kept) {
    this.#kept = kept;
  }

  commit(hosts: readonly string[], { fails = false } = {}): Offset | null {
    const segment = makeSegment(
      this.head,
      hosts.map((name, place) => lineOf(name, this.head, place)),
    );
    let first: Offset | null = null;
    try {
      this.#kept.inTransaction(() => {
        first = this.#kept.log.append(segment);
        if (fails) throw new Error("disk full");
      });
    } catch {
      this.#kept.log.ended("undone");
      return null;
    }
    this.#kept.log.ended("committed");
    this.head = headAfter(segment);
    return first;
  }
}

function lineOf(name: string, head: LogHeadPosition, place: number) {
  const offset = offsetAfter(head.next, place);
  const at = { offset, receivedAt: instant(offset) };
  const line =
    name === "refused"
      ? {
          ...at,
          kind: "ReleaseRefused" as const,
          channel: channelName("stable"),
          ref: null,
          code: "older",
          reason: "it is older",
        }
      : { ...at, kind: "JournalChanged" as const, host: hostName(name), journalId: journal("a") };
  return { text: JSON.stringify(storedLogLine.parse(line)), ...namesOf(line) };
}

const offsets = (log: EventLog, filter: LogFilter, limit = 100): readonly number[] =>
  log.read(filter, { from: FIRST_OFFSET, limit }).lines.map(({ offset }) => Number(offset));

describe.each([
  { name: "in a database", open: inDatabase },
  { name: "in memory", open: inMemory },
])("a log $name", ({ open }) => {
  const story = (title: string, act: (log: EventLog, writing: Writing, kept: Kept) => void): void =>
    test(title, () => {
      const kept = open();
      const writing = new Writing(kept);
      for (const hosts of [["web-1", "web-2"], ["web-1"], ["refused", "web-2", "web-2"]])
        writing.commit(hosts);
      try {
        act(kept.log, writing, kept);
      } finally {
        kept.close();
      }
    });

  story(
    "gives each commit the offsets after the last one, and reads them in order",
    (log, writing) => {
      expect(writing.commit(["web-3"])).toBe(6);
      expect(offsets(log, {})).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect([...log.segments(FIRST_OFFSET)].map(({ firstOffset }) => Number(firstOffset))).toEqual(
        [0, 2, 3, 6],
      );
    },
  );

  story("finds lines by host, by kind and by both, from anywhere", (log) => {
    const host = hostName("web-2");
    expect(offsets(log, { host })).toEqual([1, 4, 5]);
    expect(offsets(log, { kind: "ReleaseRefused" })).toEqual([3]);
    expect(offsets(log, { host, kind: "ReleaseRefused" })).toEqual([]);
    const [from] = [offsetAfter(FIRST_OFFSET, 2)];
    expect(log.read({ host }, { from, limit: 1 }).lines.map(({ offset }) => offset)).toEqual([4]);
    expect(log.read({ host: hostName("web-9") }, { from, limit: 9 })).toEqual({
      lines: [],
      next: 6,
      more: false,
    });
  });

  story("has nothing of a transaction that failed, and goes on where it was", (log, writing) => {
    expect(writing.commit(["web-9"], { fails: true })).toBeNull();
    expect(offsets(log, {})).toHaveLength(6);
    expect(writing.commit(["web-9"])).toBe(6);
    expect(offsets(log, { host: hostName("web-9") })).toEqual([6]);
  });

  story("refuses lines that do not continue it", (log, writing) => {
    const elsewhere = makeSegment(EMPTY_LOG, [lineOf("web-1", EMPTY_LOG, 0)]);
    expect(() => log.append(elsewhere)).toThrow(/continues the log/);
    const { next, last } = writing.head;
    const forked = makeSegment({ next, last, hash: EMPTY_LOG.hash }, [
      lineOf("web-1", writing.head, 0),
    ]);
    expect(() => log.append(forked)).toThrow(/continues the log/);
  });

  story("begins later once its beginning was taken away, and says so", (log, writing, kept) => {
    expect(log.beginsAt()).toBe(0);
    const cut = offsetAfter(FIRST_OFFSET, 3);
    kept.inTransaction(() => log.dropBefore(cut));
    log.ended("committed");
    expect(log.beginsAt()).toBe(3);
    expect(offsets(log, {})).toEqual([3, 4, 5]);
    expect(offsets(log, { host: hostName("web-1") })).toEqual([]);
    expect(writing.commit(["web-1"])).toBe(6);
  });
});
