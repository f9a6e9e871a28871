import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Journal } from "@nixwave/agent";
import type { JournalId } from "@nixwave/effects";
import type { SeededRandom } from "@nixwave/testkit";
import { MemoryTables } from "./memoryJournal.ts";

/** Memory, where there is one that looks like a disk: a thousand syncs a world are not what is tested. */
export const fastFolder = (): string => (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());

/** A host's disk with the agent's journal: it outlives every process. */
export interface JournalDisk {
  open(newJournalId: () => JournalId): Journal;
  /** The process died: what it had committed is there. */
  died(): void;
  /** From here on the disk remembers what was synced, for a power cut that comes with a commit. */
  armCut(): void;
  /** The power goes: what is left is what was synced, and a random beginning of what was written since. */
  cut(random: SeededRandom): void;
  forget(): void;
  copy(): JournalDisk;
}

export function memoryJournal(from: MemoryTables = new MemoryTables()): JournalDisk {
  let held = from;
  return {
    open: (newJournalId) => Journal.over(held, newJournalId),
    died: () => undefined,
    armCut: () => undefined,
    cut: () => undefined,
    forget: () => {
      held = new MemoryTables();
    },
    copy: () => memoryJournal(held.copy()),
  };
}

const FILE = "agent.db";
const WAL = "agent.db-wal";

/** A database and its log, as of one instant. */
export interface FilePair {
  readonly main: Buffer;
  readonly wal: Buffer;
}

export function readPair(dir: string, file: string): FilePair {
  const read = (path: string): Buffer => (existsSync(path) ? readFileSync(path) : Buffer.alloc(0));
  return { main: read(join(dir, file)), wal: read(join(dir, `${file}-wal`)) };
}

/** The pair as it was synced, and a random beginning of what the log has gained since. */
export function writeCut(
  dir: string,
  file: string,
  {
    synced,
    now,
    random,
  }: { readonly synced: FilePair; readonly now: FilePair; readonly random: SeededRandom },
): void {
  const isGrown = now.wal.subarray(0, synced.wal.length).equals(synced.wal);
  const gained = isGrown ? now.wal.subarray(synced.wal.length) : Buffer.alloc(0);
  const kept = gained.subarray(0, Math.floor(random.unit() * (gained.length + 1)));
  writeFileSync(join(dir, file), synced.main);
  writeFileSync(join(dir, `${file}-wal`), Buffer.concat([synced.wal, kept]));
}

/** In real files: each life of the process has a folder of its own, since SQLite tidies up behind whoever closes it. */
export function fileJournal(root: string, from: string | null = null): JournalDisk {
  let lives = 0;
  let dir = join(root, "life-0");
  mkdirSync(dir, { recursive: true });
  if (from !== null) copyPair(from, dir);
  let journal: Journal | null = null;
  let synced: FilePair | null = null;
  const next = (): string => {
    lives += 1;
    const made = join(root, `life-${lives}`);
    mkdirSync(made);
    return made;
  };
  const leave = (to: string): void => {
    journal?.close();
    journal = null;
    dir = to;
    synced = null;
  };
  return {
    open: (newJournalId) => {
      const opened = Journal.open({ stateDir: dir, newJournalId, wallMs: () => 0 });
      const commit = opened.commit.bind(opened);
      opened.commit = (sync, write) => {
        commit(sync, write);
        if (synced !== null && sync === "full") synced = readPair(dir, FILE);
      };
      journal = opened;
      return opened;
    },
    died: () => {
      const to = next();
      copyPair(dir, to);
      leave(to);
    },
    armCut: () => {
      synced = readPair(dir, FILE);
    },
    cut: (random) => {
      const to = next();
      const now = readPair(dir, FILE);
      writeCut(to, FILE, { synced: synced ?? now, now, random });
      leave(to);
    },
    forget: () => leave(next()),
    copy: () => fileJournal(join(root, `copy-${(lives += 1)}`), dir),
  };
}

function copyPair(from: string, to: string): void {
  for (const name of [FILE, WAL])
    if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name));
}
