import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { offered, opened, seenAll, sent } from "../scenes.fixture.ts";
import { DatabaseUnusable, databasePath } from "../store/database.ts";
import { backup, restore } from "./backup.ts";
import { check, isClean } from "./check.ts";
import { recover } from "./recover.ts";

const open: Bench[] = [];
afterEach(async () => {
  for (const bench of open.splice(0)) await bench.close();
});

async function begin(from: string | null = null): Promise<Bench> {
  const bench = await openBench(from);
  open.push(bench);
  return bench;
}

async function replay(bench: Bench, agents: readonly TestAgent[]): Promise<void> {
  for (const agent of agents) {
    const heard = await bench.ask<"Heartbeat">(agent.heartbeat());
    if (heard.kind !== "heard") throw new Error(heard.sentence);
    for (const [rolloutId, lines] of agent.streams) {
      const from = heard.replayFrom[rolloutId];
      if (from !== undefined) await sent(bench, agent, lines.slice(from - 1));
    }
    expect(await bench.ask<"Heartbeat">(agent.heartbeat())).toMatchObject({ replayFrom: {} });
  }
}

test("an old backup is restored: nothing is dispatched before all were heard, then it is as it was", async () => {
  const bench = await begin();
  const agents = [new TestAgent("web-1"), new TestAgent("web-2")];
  const [one, two] = agents;
  if (one === undefined || two === undefined) throw new Error("no agents");
  const release = await releaseOf({ waves: [["web-1", "web-2"]], version: "new" });
  await opened(bench, agents, release);
  const first = await offered(bench, one);
  const file = join(bench.dir, "backup.db");
  backup(bench.dir, file);
  expect(() => backup(bench.dir, file)).toThrow(/is there already/);
  await sent(bench, one, one.goodRun(first, bench.time.now));
  const before = bench.writer.fleet().record(first.rolloutId, one.host);

  const data = join(bench.dir, "restored");
  expect(restore(data, file, bench.time.now)).toMatchObject({ channels: 1 });
  expect(() => restore(data, file, bench.time.now)).toThrow(/move it/);
  const restored = await begin(databasePath(data));
  restored.time.now = bench.time.now;
  expect((await restored.ask<"TakeDispatch">(two.poll())).kind).toBe("none");
  expect(restored.writer.fleet().dispatch(first.rolloutId, one.host)?.state).toBe("cancelled");
  await seenAll(restored);
  await replay(restored, agents);
  expect(restored.writer.fleet().record(first.rolloutId, one.host)).toEqual(before);
  await restored.pass(200);
  for (const agent of agents) await restored.ask<"Heartbeat">(agent.heartbeat());
  const second = await offered(restored, two);
  await sent(restored, two, two.goodRun(second, restored.time.now));
  expect(restored.writer.fleet().rollout(first.rolloutId)?.kind).toBe("Completed");
  expect(isClean(check(restored.db))).toBe(true);
});

test("a recovery opens what the repository holds, the older ones as superseded, and dispatches only when all were heard", async () => {
  const bench = await begin();
  const agents = [new TestAgent("web-1"), new TestAgent("web-2")];
  const [one, two] = agents;
  if (one === undefined || two === undefined) throw new Error("no agents");
  const older = await releaseOf({ waves: [["web-1"], ["web-2"]], version: "old" });
  await opened(bench, agents, older);
  await sent(bench, one, one.goodRun(await offered(bench, one), bench.time.now));
  const createdAt = bench.time.now;
  bench.time.pass(60);
  const newer = await releaseOf({
    waves: [["web-1"], ["web-2"]],
    version: "new",
    createdAt: bench.time.now,
  });
  const data = join(bench.dir, "recovered");
  const { channel } = newer.value;
  expect(recover(data, { channels: [channel], now: bench.time.now })).toMatchObject({
    began: true,
  });
  const recovered = await begin(databasePath(data));
  recovered.time.now = bench.time.now;
  await recovered.ask<"ReleasesSeen">({
    kind: "ReleasesSeen",
    withHeld: true,
    releases: [
      { release: older, current: false },
      { release: newer, current: true },
    ],
  });
  const fleet = recovered.writer.fleet();
  expect(fleet.rolloutsOf(channel).map(({ kind }) => kind)).toEqual(["Superseded", "Active"]);
  await replay(recovered, [one]);
  expect(fleet.record(older.value.rolloutId, one.host)?.kind).toBe("Converged");
  expect((await recovered.ask<"TakeDispatch">(one.poll())).kind).toBe("none");
  await recovered.reopen();
  await seenAll(recovered);
  await replay(recovered, [one]);
  expect((await recovered.ask<"TakeDispatch">(one.poll())).kind).toBe("none");
  await replay(recovered, [two]);
  expect((await recovered.ask<"TakeDispatch">(one.poll())).kind).toBe("offer");
  await recovered.pass(2);
  expect(recovered.db.prepare("SELECT * FROM replay_gates").all()).toEqual([]);
  expect(isClean(check(recovered.db))).toBe(true);
  expect(createdAt).toBeLessThan(newer.value.createdAt);
});

test("a recovery that is started again leaves its database alone", async () => {
  const bench = await begin();
  await opened(
    bench,
    [new TestAgent("web-1")],
    await releaseOf({ waves: [["web-1"]], version: "new" }),
  );
  const { channel } = (await releaseOf({ waves: [["web-1"]], version: "new" })).value;
  bench.db.close();
  expect(recover(bench.dir, { channels: [channel], now: bench.time.now }).began).toBe(false);
  await bench.reopen();
  expect(bench.db.prepare("SELECT * FROM replay_gates").all()).toEqual([]);
});

test("a backup whose schema or pages can't be read is refused in a sentence, and nothing stays where the database goes", async () => {
  const bench = await begin();
  const damage = {
    schema: (db: Database.Database) => {
      db.unsafeMode(true);
      db.pragma("writable_schema = ON");
      db.exec("UPDATE sqlite_schema SET sql = 'nothing' WHERE name = 'log_segments'");
    },
    "a table": (db: Database.Database) => db.exec("DROP TABLE releases"),
  };
  for (const [what, damaged] of Object.entries(damage)) {
    const file = join(bench.dir, `damaged ${what}.db`);
    backup(bench.dir, file);
    const db = new Database(file);
    damaged(db);
    db.close();
    const data = join(bench.dir, `restored ${what}`);
    expect(() => restore(data, file, bench.time.now)).toThrow(DatabaseUnusable);
    expect(() => restore(data, file, bench.time.now)).toThrow(
      /can't be restored .*: look at the disk, or take another backup/,
    );
    expect(existsSync(data) ? readdirSync(data) : []).toEqual([]);
  }
});

test("a backup that can't be written leaves nothing behind", async () => {
  const bench = await begin();
  const file = join(bench.dir, "no-such-folder", "backup.db");
  expect(() => backup(bench.dir, file)).toThrow();
  expect(existsSync(file)).toBe(false);
  rmSync(`${file}.partial`, { force: true });
});
