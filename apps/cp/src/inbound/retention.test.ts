import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { addSecs, type Offset } from "@nixwave/effects";
import { channelName, hostName } from "@nixwave/testkit";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Bench, copyDatabase, openBench } from "../bench.fixture.ts";
import type { LogRetention } from "../config.ts";
import { NO_CRASH } from "../crashPoint.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import {
  FIRST_OFFSET,
  GENESIS,
  offsetAfter,
  REDUCERS_VERSION,
  segmentHash,
} from "../log/segment.ts";
import { sqliteLog } from "../log/sqliteLog.ts";
import { archiveDir, checkArchives } from "../maintenance/archive.ts";
import { check, isClean, sayChecked } from "../maintenance/check.ts";
import { beginning } from "../maintenance/foldLog.ts";
import { rebuild } from "../maintenance/rebuild.ts";
import { offered, opened, seen, sent } from "../scenes.fixture.ts";
import { openReader } from "../store/reader.ts";
import { checkpointsOf } from "../store/snapshot.ts";
import { cutOf, Retention } from "./retention.ts";

const DAY_SECS = 86_400;
const KEEP: LogRetention = { secs: 90 * DAY_SECS, bytes: 2 ** 31 };
let bench: Bench;
let agent: TestAgent;
beforeEach(async () => {
  bench = await openBench();
  agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "v0" }));
  await sent(bench, agent, agent.goodRun(await offered(bench, agent), bench.time.now));
});
afterEach(() => bench.close());

const logged: string[] = [];
const retentionOf = (keep: LogRetention, of = bench): Retention =>
  new Retention({
    keep,
    log: sqliteLog(of.db),
    checkpoints: () => checkpointsOf(of.db),
    archiveDir: archiveDir(of.dir),
    submit: of.writer.submit,
    clock: { now: () => of.time.now },
    timer: of.time.timer,
    logger: { log: (_, message) => void logged.push(message) },
  });

/** A release that converges, and so many days later. */
async function released(version: string, days: number): Promise<void> {
  bench.time.pass(days * DAY_SECS);
  await bench.ask<"Heartbeat">(agent.heartbeat());
  const createdAt = bench.time.now;
  await seen(bench, await releaseOf({ waves: [["web-1"]], version, createdAt }));
  await sent(bench, agent, agent.goodRun(await offered(bench, agent), bench.time.now));
}

/** Some months of releases, and a look of the retention after each. */
async function months(count: number, keep = KEEP): Promise<void> {
  const retention = retentionOf(keep);
  for (let month = 1; month <= count; month += 1) {
    await released(`v${month}`, 30);
    await retention.look();
  }
}

const beginsAt = (): Offset => sqliteLog(bench.db).beginsAt();
const archives = () => checkArchives(archiveDir(bench.dir), beginning(bench.db));
const states = () =>
  bench.writer
    .fleet()
    .rolloutsOf(channelName("stable"))
    .map(({ kind }) => kind);
const files = (): readonly string[] => readdirSync(archiveDir(bench.dir));

describe("the log within its limits", () => {
  test("what is older than the limit is archived, and both halves verify with one chain", async () => {
    await months(3);
    expect(beginsAt()).toBe(FIRST_OFFSET);
    await months(4);
    expect(beginsAt()).toBeGreaterThan(FIRST_OFFSET);
    const found = await archives();
    expect(found).toMatchObject({ faults: [], missing: [], lines: beginsAt() });
    expect(found.files).toBeGreaterThan(0);
    expect(sayChecked(check(bench.db))).toEqual([
      expect.stringMatching(/^clean: \d+ lines from the checkpoint at offset \d+ on fold into/),
    ]);
  });

  test("a log that is too large is archived whatever its age", async () => {
    const bytes = 6000;
    await months(2, { secs: 3650 * DAY_SECS, bytes });
    expect(beginsAt()).toBeGreaterThan(FIRST_OFFSET);
    const kept = [...sqliteLog(bench.db).segments(beginsAt())];
    const size = kept.reduce((sum, { lines }) => sum + Buffer.byteLength(lines), 0);
    expect(size).toBeLessThan(bytes * 1.5);
    expect(isClean(check(bench.db))).toBe(true);
  });

  test("rebuild makes the tables from the checkpoint, byte for byte, and a restart goes on from them", async () => {
    await months(7);
    const before = check(bench.db);
    bench.db.prepare("DELETE FROM host_rollouts").run();
    bench.db.prepare("UPDATE rollouts SET state = 'Failed'").run();
    expect(isClean(check(bench.db))).toBe(false);
    expect(rebuild(bench.db).from).toBe(before.from);
    expect(isClean(check(bench.db))).toBe(true);
    await bench.reopen();
    await released("after", 1);
    expect(states().at(-1)).toBe("Completed");
    expect(isClean(check(bench.db))).toBe(true);
  });

  test("rollouts that ended before the limit are pruned; the newest two of a channel stay", async () => {
    await months(7);
    expect(states().slice(-2)).toEqual(
      ["Superseded", "Active"].map((kind) => expect.stringMatching(`${kind}|Completed`)),
    );
    expect(states()[0]).toBe("Pruned");
    expect(states().filter((kind) => kind === "Pruned").length).toBeLessThan(states().length - 2);
  });

  test("readers are told where the log begins, and go on from there", async () => {
    await months(7);
    const reader = openReader(bench.path);
    expect(reader.logBeginsAt()).toBe(beginsAt());
    const page = reader.events({ host: hostName("web-1") }, { from: FIRST_OFFSET, limit: 5 });
    expect(page.lines[0]?.offset).toBeGreaterThanOrEqual(beginsAt());
    expect(
      reader.transitions({ host: hostName("web-1"), after: null, limit: 1 })[0]?.offset,
    ).toBeLessThan(beginsAt());
    reader.close();
  });

  test("a host that comes back with a log head that is archived closes no gate", async () => {
    const old = bench.writer.logHead();
    await months(7);
    const replaying = () => bench.logged.filter(({ message }) => /set back/.test(message));
    await bench.ask<"Heartbeat">(agent.heartbeat(old));
    expect(replaying()).toEqual([]);
    // One that nobody was shown still does.
    const next = bench.writer.logHead();
    if (old === null || next === null) throw new Error("the log has lines");
    await bench.ask<"Heartbeat">(agent.heartbeat({ ...next, hash: old.hash }));
    expect(replaying()).toHaveLength(1);
  });
});

test("a host that is lost for good in a superseded rollout does not keep it for ever", async () => {
  const gone = new TestAgent("web-2");
  await bench.ask<"Heartbeat">(gone.heartbeat());
  bench.time.pass(60);
  const createdAt = bench.time.now;
  await seen(bench, await releaseOf({ waves: [["web-1", "web-2"]], version: "lost", createdAt }));
  const [first = ""] = gone.goodRun(await offered(bench, gone), bench.time.now);
  await sent(bench, gone, [first]);
  const { rolloutId } = bench.writer.fleet().newestRollout(channelName("stable")) ?? {};
  await months(9);
  if (rolloutId === undefined) throw new Error("a rollout was opened");
  expect(bench.writer.fleet().rollout(rolloutId)?.kind).toBe("Pruned");
  const rows = bench.db.prepare("SELECT count(*) FROM host_rollouts WHERE rollout_id = ?").pluck();
  expect(rows.get(rolloutId)).toBe(0);
  // It comes back after all, with what nobody waits for: that is acknowledged, so that it is rid of it.
  bench.time.pass(60);
  const answer = await sent(bench, gone, gone.streams.get(rolloutId) ?? []);
  expect(answer).toMatchObject({
    streams: {
      [rolloutId]: { refused: [{ seq: 1, code: "unknown-rollout" }, {}, {}, {}, {}, {}] },
    },
  });
  expect(isClean(check(bench.db))).toBe(true);
  await bench.reopen();
  expect(bench.writer.fleet().rollout(rolloutId)?.kind).toBe("Pruned");
});

describe("a crash at any point of it loses nothing", () => {
  /** Three months, so that the next look archives. */
  async function about(): Promise<void> {
    await months(3);
    await released("more", 31);
    bench.time.pass(60 * DAY_SECS);
    mkdirSync(archiveDir(bench.dir));
  }

  test("where the rows can't go, all is kept, and the next look makes the same archive", async () => {
    await about();
    bench.crash = {
      point(name) {
        if (name === "inside-commit" && files().length > 0) throw new Error("disk full");
      },
    };
    await retentionOf(KEEP).look();
    expect(beginsAt()).toBe(FIRST_OFFSET);
    expect(isClean(check(bench.db))).toBe(true);
    const [name = ""] = files();
    const written = readFileSync(join(archiveDir(bench.dir), name));
    bench.crash = NO_CRASH;
    bench.time.pass(60);
    await retentionOf(KEEP).look();
    expect(beginsAt()).toBeGreaterThan(FIRST_OFFSET);
    expect(readFileSync(join(archiveDir(bench.dir), name))).toEqual(written);
    expect(await archives()).toMatchObject({ faults: [], missing: [], files: 1 });
  });

  test("killed at each point of its commits, what is left is clean and whole, and a look ends it", async () => {
    await about();
    const left: string[] = [];
    bench.crash = {
      point(name) {
        const dir = join(bench.dir, `${left.length}-${name}`);
        mkdirSync(dir);
        copyDatabase(bench.path, join(dir, "cp.db"));
        cpSync(archiveDir(bench.dir), archiveDir(dir), { recursive: true });
        left.push(dir);
      },
    };
    await retentionOf(KEEP).look();
    bench.crash = NO_CRASH;
    expect(left.filter((dir) => dir.endsWith("inside-commit")).length).toBeGreaterThan(1);
    const whole = bench.writer.logHead()?.offset ?? 0;
    for (const dir of left) {
      const again = await openBench(join(dir, "cp.db"));
      again.time.now = addSecs(bench.time.now, 60);
      cpSync(archiveDir(dir), archiveDir(again.dir), { recursive: true });
      expect(isClean(check(again.db)), dir).toBe(true);
      await retentionOf(KEEP, again).look();
      const begins = beginning(again.db);
      expect(begins.offset, dir).toBeGreaterThan(FIRST_OFFSET);
      const { faults, missing, lines } = await checkArchives(archiveDir(again.dir), begins);
      expect({ faults, missing }, dir).toEqual({ faults: [], missing: [] });
      expect(lines).toBe(begins.offset);
      expect(again.writer.logHead()?.offset ?? 0).toBeGreaterThanOrEqual(whole);
      expect(isClean(check(again.db)), dir).toBe(true);
      await again.close();
    }
  });

  test("a part of an archive is never taken for one", async () => {
    await months(7);
    writeFileSync(join(archiveDir(bench.dir), "log-000000009999.ndjson.zst.partial"), "half");
    expect((await archives()).faults).toEqual([]);
  });
});

describe("archives", () => {
  test("a changed byte, a cut file and one of another log are found, a missing one is said", async () => {
    await months(7);
    const [name = ""] = files();
    const path = join(archiveDir(bench.dir), name);
    const whole = join(bench.dir, "whole");
    cpSync(path, whole);
    writeFileSync(path, "not compressed at all");
    expect((await archives()).faults[0]).toContain(`${name}: it can't be read after offset 0`);
    rmSync(path);
    const { faults, missing } = await archives();
    expect(faults).toEqual([]);
    expect(missing[0]).toMatch(/^the archive from offset 0 to \d+$/);
    cpSync(whole, path);
    expect((await archives()).faults).toEqual([]);
  });
});

describe("after a database that was lost or put back, a second history grows beside the archives of the first", () => {
  /** The hash of each segment that any file of the folder has, whatever its name. */
  const archived = (): ReadonlySet<string> =>
    new Set(
      files().flatMap((name) => {
        const text = zstdDecompressSync(readFileSync(join(archiveDir(bench.dir), name))).toString();
        return [...text.matchAll(/^\{"segment":.*"hash":"([0-9a-f]+)"\}\}$/gm)].map(
          ([, hash]) => hash ?? "",
        );
      }),
    );
  function lost(former: ReadonlySet<string>): number {
    const here = archived();
    return [...former].filter((hash) => !here.has(hash)).length;
  }

  /** Another database, with the archives of the one before beside it. */
  async function follows(from: string | null): Promise<void> {
    const dir = archiveDir(bench.dir);
    const { now } = bench.time;
    const again = await openBench(from);
    again.time.now = now;
    cpSync(dir, archiveDir(again.dir), { recursive: true });
    await bench.close();
    bench = again;
  }

  test("of a lost one's archives none is overwritten, and none is taken for the new one's", async () => {
    await months(7);
    const former = archived();
    await follows(null);
    agent = new TestAgent("web-1");
    await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "anew" }));
    await sent(bench, agent, agent.goodRun(await offered(bench, agent), bench.time.now));
    expect(await archives()).toMatchObject({ lines: 0, faults: [], missing: [] });
    await months(7);
    expect(lost(former)).toBe(0);
    expect(beginsAt()).toBeGreaterThan(FIRST_OFFSET);
    expect(await archives()).toMatchObject({ faults: [], missing: [], lines: beginsAt() });
    expect(logged).toContain("an archive of another history is put aside");
  });

  test("a backup from before what was archived comes back, and the archives are those of its log again", async () => {
    await months(3);
    const backup = join(bench.dir, "backup.db");
    copyDatabase(bench.path, backup);
    await months(6);
    const former = archived();
    expect(former.size).toBeGreaterThan(1);
    await follows(backup);
    agent = new TestAgent("web-1");
    await months(7);
    expect(lost(former)).toBe(0);
    expect(await archives()).toMatchObject({ faults: [], missing: [], lines: beginsAt() });
    expect(isClean(check(bench.db))).toBe(true);
  });

  test("what only a crash made twice is not put aside", async () => {
    await months(7);
    const before = files();
    await months(3);
    expect(files()).toEqual(expect.arrayContaining([...before]));
    expect(files().filter((name) => name.includes("aside"))).toEqual([]);
  });
});

test("a checkpoint that is not what the log gives is found", async () => {
  await months(3);
  const [checkpoint] = checkpointsOf(bench.db);
  bench.db
    .prepare("UPDATE log_segments SET lines = lines WHERE first_offset = ?")
    .run(checkpoint?.offset);
  expect(isClean(check(bench.db))).toBe(true);
  // The tables were wrong when the next one was taken, and the chain does not know.
  bench.db.prepare("UPDATE rollouts SET opened_at = 7").run();
  bench.time.pass(100 * DAY_SECS);
  await retentionOf(KEEP).look();
  expect(check(bench.db).chain).toEqual([
    {
      firstOffset: expect.any(Number),
      what: expect.stringContaining("its checkpoint was made of"),
    },
  ]);
});

test.each([
  { title: "nothing is old or large", days: [10, 5, 0], bytes: [1, 1, 1], cut: null },
  { title: "the newest that is old enough", days: [200, 120, 95, 20], bytes: [1, 1, 1, 1], cut: 2 },
  { title: "what began the log stays without a checkpoint", days: [200], bytes: [9], cut: null },
  {
    title: "the first one that leaves little enough",
    days: [3, 2, 1],
    bytes: [60, 60, 40],
    cut: 1,
  },
  { title: "the last one where all are too large", days: [3, 2, 1], bytes: [60, 60, 400], cut: 2 },
])("where the log is to begin: $title", ({ days, bytes, cut }) => {
  const { now } = bench.time;
  const parts = days.map((age, place) => ({
    from: offsetAfter(FIRST_OFFSET, place),
    at: addSecs(now, -age * DAY_SECS),
    bytes: bytes[place] ?? 0,
  }));
  expect(cutOf(parts, { secs: 90 * DAY_SECS, bytes: 100 }, now)).toBe(cut);
});

/** As if another version's reducers had written all that is there: the same lines, hashed with its number. */
function writtenByAnotherVersion(): void {
  let hash = GENESIS;
  for (const segment of sqliteLog(bench.db).segments(FIRST_OFFSET)) {
    const other = { ...segment, version: REDUCERS_VERSION - 1, prevHash: hash };
    bench.db
      .prepare(
        "UPDATE log_segments SET version = ?, prev_hash = ?, hash = ? WHERE first_offset = ?",
      )
      .run(other.version, hash, segmentHash(other), segment.firstOffset);
    hash = segmentHash(other);
  }
}

test("an upgrade of the reducers begins with a checkpoint, and folds begin there from then on", async () => {
  writtenByAnotherVersion();
  await bench.reopen();
  expect(() => check(bench.db)).toThrow(
    /written by another version .* start nixwave-cp serve once/,
  );
  const retention = retentionOf(KEEP);
  await retention.start();
  await retention.stop();
  const [checkpoint, other] = checkpointsOf(bench.db);
  expect(other).toBeUndefined();
  expect(check(bench.db)).toMatchObject({ from: checkpoint?.offset, chain: [], differences: [] });
  await released("after", 1);
  expect(isClean(check(bench.db))).toBe(true);
  // Once is enough: the next start of the same version takes none.
  await retentionOf(KEEP).start();
  expect(checkpointsOf(bench.db)).toHaveLength(1);
});

test("the database of the version before opens, is migrated, begins with a checkpoint, and checks clean from there", async () => {
  const path = join(bench.dir, "old.db");
  const old = new Database(path);
  const file = join(import.meta.dirname, "../store/testdata/version-1.sql");
  old.exec(readFileSync(file, "utf8"));
  old.close();
  const again = await openBench(path);
  await retentionOf(KEEP, again).start();
  const checked = check(again.db);
  expect(checked).toMatchObject({ chain: [], differences: [], integrity: [] });
  expect(checked.from).toBe(checkpointsOf(again.db)[0]?.offset);
  // It goes on: the freeze that it has is lifted, and what follows from that folds too.
  const [freeze] = again.writer.fleet().freezes();
  if (freeze === undefined) throw new Error("the fixture has a freeze");
  const who = { by: "ops", reason: "a test", mayLiftOthers: true };
  await again.ask<"Unfreeze">({ kind: "Unfreeze", freezeId: freeze.freezeId, ...who });
  expect(isClean(check(again.db))).toBe(true);
  expect(rebuild(again.db).from).toBe(checked.from);
  expect(isClean(check(again.db))).toBe(true);
  await again.close();
});
