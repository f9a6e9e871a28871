import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { closeReplayGates, createDatabase, openDatabase, recover, restore } from "@nixwave/cp";
import type { Channel, Instant } from "@nixwave/effects";
import type { SeededRandom } from "@nixwave/testkit";
import Database from "better-sqlite3";
import { type Db, newControlPlaneDb } from "./databases.ts";
import { type FilePair, readPair, writeCut } from "./journalDisk.ts";

interface After {
  readonly channels: readonly Channel[];
  readonly now: Instant;
}

/** The control plane's disk: it outlives every process. */
export interface ControlPlaneDisk {
  /** The connection of the process that runs, or that ran last. */
  readonly db: Db;
  /** A process starts. */
  open(): void;
  died(): void;
  /** A power cut is to come with one of the next commits. */
  armCut(): void;
  beforeCommit(): void;
  cut(random: SeededRandom): void;
  backup(): Buffer;
  /** `serve --recover` over an empty disk. */
  wipe(after: After): void;
  /** `restore FILE`; or null: an older disk image is in its place, without a word. */
  restore(bytes: Buffer, after: After | null): void;
}

export function memoryControlPlane(): ControlPlaneDisk {
  let db = newControlPlaneDb();
  return {
    get db() {
      return db;
    },
    open: () => undefined,
    died: () => undefined,
    armCut: () => undefined,
    beforeCommit: () => undefined,
    cut: () => undefined,
    backup: () => db.serialize(),
    wipe: ({ channels, now }) => {
      db = newControlPlaneDb();
      closeReplayGates(db, channels, now);
    },
    restore: (bytes, after) => {
      db = new Database(bytes);
      if (after !== null) closeReplayGates(db, after.channels, after.now);
    },
  };
}

const FILE = "cp.db";

/** In real files, through the app's own opening, recovery and restoring. */
export function fileControlPlane(root: string): ControlPlaneDisk {
  let lives = 0;
  let dir = join(root, "cp-0");
  mkdirSync(dir, { recursive: true });
  createDatabase(join(dir, FILE));
  let db: Db = openDatabase(join(dir, FILE));
  let isArmed = false;
  let before: FilePair | null = null;
  const next = (): string => {
    lives += 1;
    return join(root, `cp-${lives}`);
  };
  const moveTo = (to: string): void => {
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
    get db() {
      return db;
    },
    open: () => undefined,
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
    backup: () => db.serialize(),
    wipe: (after) => {
      const to = next();
      recover(to, after);
      moveTo(to);
    },
    restore: (bytes, after) => {
      const to = next();
      const file = join(root, `backup-${lives}.db`);
      writeFileSync(file, bytes);
      if (after === null) {
        mkdirSync(to);
        writeFileSync(join(to, FILE), bytes);
      } else restore(to, file, after.now);
      moveTo(to);
    },
  };
}
