import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addSecs, type HostName, type Instant } from "@nixwave/effects";
import { START } from "@nixwave/testkit";
import type { Answers, CommandKind, CommandOf } from "./command.ts";
import { NO_CRASH } from "./crashPoint.ts";
import { createWriter, type Writer, type WriterPorts } from "./loop.ts";
import { init } from "./maintenance/init.ts";
import { NO_METRICS, type WriterMetrics } from "./perform/metrics.ts";
import type { Crash, LogFields } from "./ports.ts";
import { type Connection, databasePath, openDatabase } from "./store/database.ts";
import { sqliteStore } from "./store/sqlite.ts";
import type { Store } from "./store/store.ts";

/** A clock that only the test moves; what is due is called when it is passed. */
export class TestTime {
  now: Instant = START;
  #waiting: { readonly at: Instant; readonly call: () => void }[] = [];

  readonly timer: WriterPorts["timer"] = {
    at: (at, call) => {
      const entry = { at, call };
      this.#waiting.push(entry);
      return () => {
        this.#waiting = this.#waiting.filter((each) => each !== entry);
      };
    },
    soon: (call) => void setImmediate(call),
  };

  pass(secs: number): void {
    this.now = addSecs(this.now, secs);
    const due = this.#waiting.filter(({ at }) => at <= this.now);
    this.#waiting = this.#waiting.filter(({ at }) => at > this.now);
    for (const { call } of due) call();
  }
}

export interface Bench {
  readonly time: TestTime;
  readonly dir: string;
  readonly path: string;
  readonly woken: HostName[];
  readonly logged: { readonly message: string; readonly fields: LogFields }[];
  /** Random numbers drawn so far; the next ones are told apart by it. */
  drawn: number;
  /** Draws the same number again and again. */
  stuck: boolean;
  /** Durable batches so far. */
  commits: number;
  /** Set to make commits fail with it, as a full disk does. */
  broken: Error | null;
  crash: Crash;
  metrics: WriterMetrics;
  db: Connection;
  writer: Writer;
  /** Submits and expects an answer, not a "not now". */
  ask<K extends CommandKind>(command: CommandOf<K>): Promise<Answers[K]>;
  /** Moves the clock and lets what is due happen. */
  pass(secs: number): Promise<void>;
  /** As after a kill: memory is gone, the file is opened anew. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** What a process that was killed has left: the database and its write-ahead log, in the middle of whatever it did. */
export function copyDatabase(path: string, to: string): void {
  for (const suffix of ["", "-wal"])
    if (existsSync(`${path}${suffix}`)) copyFileSync(`${path}${suffix}`, `${to}${suffix}`);
}

function takeOver(from: string, dir: string): string {
  const path = databasePath(dir);
  copyDatabase(from, path);
  return path;
}

/** A control plane's inside on a real database in a folder of its own, new or `from` the file of another; what it says and whom it wakes is kept. */
export async function openBench(from: string | null = null): Promise<Bench> {
  const dir = mkdtempSync(join(tmpdir(), "nixwave-cp-"));
  const path = from === null ? init(dir, START).path : takeOver(from, dir);
  const time = new TestTime();
  const begun: Pick<
    Bench,
    "woken" | "logged" | "commits" | "broken" | "crash" | "drawn" | "stuck" | "metrics"
  > = {
    woken: [],
    logged: [],
    commits: 0,
    drawn: 0,
    stuck: false,
    broken: null,
    crash: NO_CRASH,
    metrics: NO_METRICS,
  };
  const db = openDatabase(path);
  const bench: Bench = Object.assign(begun, {
    time,
    dir,
    path,
    db,
    writer: await createWriter(portsOf(begun, time, db)),
    async ask<K extends CommandKind>(command: CommandOf<K>): Promise<Answers[K]> {
      const answer = await bench.writer.submit<K>(command);
      if (answer.kind === "not-now") throw new Error(answer.sentence);
      return answer;
    },
    async pass(secs: number) {
      time.pass(secs);
      await bench.writer.submit({ kind: "Tick" });
    },
    async reopen() {
      bench.db.close();
      bench.db = openDatabase(path);
      bench.writer = await createWriter(portsOf(begun, time, bench.db));
    },
    async close() {
      await bench.writer.stop();
      bench.db.close();
      rmSync(dir, { recursive: true, force: true });
    },
  });
  return bench;
}

type Watched = Pick<
  Bench,
  "woken" | "logged" | "commits" | "broken" | "crash" | "drawn" | "stuck" | "metrics"
>;

function portsOf(watched: Watched, time: TestTime, db: Connection): WriterPorts {
  const crash: Crash = { point: (name) => watched.crash.point(name) };
  return {
    store: watching(sqliteStore(db, { crash }), watched),
    clock: { now: () => time.now },
    timer: time.timer,
    random: {
      bytes(count) {
        if (!watched.stuck) watched.drawn += 1;
        return new Uint8Array(count).fill(watched.drawn);
      },
    },
    ticks: () => 0,
    crash,
    metrics: {
      count: (effect) => watched.metrics.count(effect),
      committed: (batch) => watched.metrics.committed(batch),
      commitFailed: () => watched.metrics.commitFailed(),
      dispatchAcknowledged: (secs) => watched.metrics.dispatchAcknowledged(secs),
      eventsDuplicated: (count) => watched.metrics.eventsDuplicated(count),
      pollsParked: (count) => watched.metrics.pollsParked(count),
    },
    logger: { log: (_level, message, fields) => void watched.logged.push({ message, fields }) },
    notices: {
      dispatchReady: (host) => void watched.woken.push(host),
      committed: () => undefined,
    },
  };
}

const watching = (store: Store, watched: Watched): Store => ({
  ...store,
  async commit(batch) {
    if (watched.broken !== null) throw watched.broken;
    await store.commit(batch);
    watched.commits += 1;
  },
});
