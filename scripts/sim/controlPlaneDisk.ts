import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type CpCrash,
  check,
  checkpointsOf,
  createDatabase,
  isClean,
  type Loaded,
  type LogRetention,
  openDatabase,
  type RetentionPorts,
  recover,
  restore,
  type Store,
  sayChecked,
  sqliteLog,
  sqliteStore,
} from "@nixwave/cp";
import type { Channel, Instant } from "@nixwave/effects";
import type { SeededRandom } from "@nixwave/testkit";
import { Archives, type StoredSegment } from "./archives.ts";
import { Chains } from "./chains.ts";
import { type FilePair, readPair, writeCut } from "./journalDisk.ts";
import { MemoryDatabase } from "./memoryStore.ts";

type Connection = ReturnType<typeof openDatabase>;

interface After {
  readonly channels: readonly Channel[];
  readonly now: Instant;
}

/** I5: the log does not fold into the tables; I6: a stream has two histories. */
export interface Unclean {
  readonly invariant: "I5" | "I6";
  readonly what: string;
}

/** Puts it where the database is: `restore FILE`; or null: an older disk image is in its place, without a word. */
export type Backup = (after: After | null) => void;

/** What retention keeps within its limits. */
export type KeptLog = Pick<RetentionPorts, "keep" | "log" | "checkpoints" | "archiveDir">;

/** The control plane's disk: it outlives every process. */
export interface ControlPlaneDisk {
  /** Names it in messages. */
  readonly place: string;
  /** For a process that starts. */
  store(crash: CpCrash): Store;
  /** Of the database as it is now. Null where there are no files, and so no archives, or all is kept. */
  keptLog(): KeptLog | null;
  /** "host rollout journal" → how far it was consumed. */
  streams(): ReadonlyMap<string, number>;
  /** "channel closure". */
  quarantines(): ReadonlySet<string>;
  /** Channels whose gate `replay` is closed. */
  replaying(): ReadonlyMap<string, Instant>;
  unclean(): Unclean | null;
  loaded(): Promise<Loaded>;
  died(): void;
  /** A power cut is to come with one of the next commits. */
  armCut(): void;
  beforeCommit(): void;
  cut(random: SeededRandom): void;
  backup(): Backup;
  /** `serve --recover` over an empty disk. */
  wipe(after: After): void;
}

export function memoryControlPlane(): ControlPlaneDisk {
  let db = new MemoryDatabase();
  const closeGates = ({ channels, now }: After): void => {
    for (const channel of channels) db.observe({ kind: "ReplayGateSet", channel, since: now });
  };
  return {
    place: ":memory:",
    store: (crash) => db.store(crash),
    keptLog: () => null,
    streams: () =>
      new Map(
        [...db.rows.streams.values()].map(({ value }) => [
          `${value.host} ${value.rolloutId} ${value.journalId}`,
          value.lastSeq,
        ]),
      ),
    quarantines: () => new Set(db.rows.quarantines.keys()),
    replaying: () => db.observed.replayGates,
    unclean: () => db.unclean(),
    loaded: async () => db.load(),
    died: () => undefined,
    armCut: () => undefined,
    beforeCommit: () => undefined,
    cut: () => undefined,
    backup: () => {
      const kept = db.copy();
      return (after) => {
        db = kept.copy();
        if (after !== null) closeGates(after);
      };
    },
    wipe: (after) => {
      db = new MemoryDatabase();
      closeGates(after);
    },
  };
}

const FILE = "cp.db";

/** In real files, through the app's own opening, recovery and restoring. */
export function fileControlPlane(root: string, keep?: LogRetention): ControlPlaneDisk {
  let lives = 0;
  let dir = join(root, "cp-0");
  mkdirSync(dir, { recursive: true });
  // Beside the databases of all lives: whoever loses one of those, or puts a backup in its place, still has the archives.
  const archives = new Archives(root);
  createDatabase(join(dir, FILE));
  let db = openDatabase(join(dir, FILE));
  let isArmed = false;
  let before: FilePair | null = null;
  const next = (): string => join(root, `cp-${(lives += 1)}`);
  const moveTo = (to: string): void => {
    archives.remember();
    db.close();
    dir = to;
    db = openDatabase(join(dir, FILE));
    isArmed = false;
    before = null;
  };
  const left = (synced: FilePair, now: FilePair, random: SeededRandom | null): void => {
    const to = next();
    mkdirSync(to);
    if (random !== null) writeCut(to, FILE, { synced, now, random });
    else {
      writeFileSync(join(to, FILE), now.main);
      writeFileSync(join(to, `${FILE}-wal`), now.wal);
    }
    moveTo(to);
  };
  return {
    get place() {
      return db.name;
    },
    store: (crash) => sqliteStore(db, { crash }),
    keptLog: () => (keep === undefined ? null : { keep, ...keptLogOf(db, archives.folder) }),
    streams: () => storedStreams(db),
    quarantines: () => storedQuarantines(db),
    replaying: () => replayingIn(db),
    unclean: () => uncleanIn(db, archives),
    loaded: () => sqliteStore(db, NO_CRASH).load(),
    died: () => {
      const now = readPair(dir, FILE);
      left(now, now, null);
    },
    armCut: () => {
      isArmed = true;
    },
    beforeCommit: () => {
      if (isArmed) before = readPair(dir, FILE);
    },
    cut: (random) => {
      const now = readPair(dir, FILE);
      left(before ?? now, now, random);
    },
    backup: () => {
      const bytes = db.serialize();
      return (after) => {
        const to = next();
        putBack(bytes, to, after);
        moveTo(to);
      };
    },
    wipe: (after) => {
      const to = next();
      recover(to, after);
      moveTo(to);
    },
  };
}

/** The app reads over a connection of its own: of this one no statement is left open between two events. */
const keptLogOf = (db: Connection, archiveDir: string): Omit<KeptLog, "keep"> => ({
  log: sqliteLog(db),
  checkpoints: () => checkpointsOf(db),
  archiveDir,
});

function putBack(bytes: Buffer, to: string, after: After | null): void {
  const file = after === null ? join(to, FILE) : `${to}-backup.db`;
  if (after === null) mkdirSync(to);
  writeFileSync(file, bytes);
  if (after !== null) restore(to, file, after.now);
}

const NO_CRASH = { crash: { point: (): void => undefined } };

function storedStreams(db: Connection): Map<string, number> {
  const rows = db
    .prepare<[], { key: string; seq: number }>(
      "SELECT host || ' ' || rollout_id || ' ' || journal_id AS key, last_seq AS seq FROM streams",
    )
    .all();
  return new Map(rows.map(({ key, seq }) => [key, seq]));
}

const storedQuarantines = (db: Connection): Set<string> =>
  new Set(
    db
      .prepare<[], { key: string }>("SELECT channel || ' ' || closure AS key FROM quarantines")
      .all()
      .map(({ key }) => key),
  );

const replayingIn = (db: Connection): Map<string, Instant> =>
  new Map(
    db
      .prepare<[], { channel: string; since: Instant }>("SELECT channel, since FROM replay_gates")
      .all()
      .map(({ channel, since }) => [channel, since]),
  );

function uncleanIn(db: Connection, archives: Archives): Unclean | null {
  const checked = check(db);
  if (!isClean(checked))
    return { invariant: "I5", what: sayChecked(checked).slice(0, 3).join("; ") };
  const kept = segmentsOf(db);
  const archived = archives.before(kept, () => db.serialize());
  if (typeof archived === "string") return { invariant: "I5", what: archived };
  const chains = new Chains();
  for (const { lines } of [...archived, ...kept]) {
    const what = chains.broken(lines);
    if (what !== null) return { invariant: "I6", what };
  }
  return null;
}

const segmentsOf = (db: Connection): readonly StoredSegment[] =>
  db
    .prepare<[], StoredSegment>(
      `SELECT first_offset AS firstOffset, count, version, lines, prev_hash AS prevHash, hash
        FROM log_segments ORDER BY first_offset`,
    )
    .all();
