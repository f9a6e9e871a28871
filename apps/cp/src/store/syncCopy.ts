import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "./store.ts";

/** The last commit and the one before it: a test may let the power go while the last one was being written. */
const COPIES_KEPT = 2;
const PARTIAL = ".partial";

/**
 * A test seam, not an option for people: with NIXWAVE_SYNC_COPY=`<folder>` the folder holds, in a numbered folder for each commit,
 * the database and its log as they are on the disk from then on, whatever becomes of the power. Without the setting
 * the store is given back as it is.
 */
export function withSyncCopies(store: Store, folder: string | undefined): Store {
  if (folder === undefined || folder === "") return store;
  mkdirSync(folder, { recursive: true });
  // What is there when a test begins to look survived whatever was before.
  if (numbersIn(folder).length === 0) keepCopy(folder, store.place);
  return {
    ...store,
    async commit(batch) {
      await store.commit(batch);
      keepCopy(folder, store.place);
    },
  };
}

/** Renamed into place: a process that is killed in between leaves no half copy behind. */
function keepCopy(folder: string, database: string): void {
  const numbers = numbersIn(folder);
  const next = join(folder, String((numbers.at(-1) ?? 0) + 1));
  rmSync(next + PARTIAL, { recursive: true, force: true });
  mkdirSync(next + PARTIAL);
  copyFileSync(database, join(next + PARTIAL, "db"));
  const wal = `${database}-wal`;
  if (existsSync(wal)) copyFileSync(wal, join(next + PARTIAL, "wal"));
  renameSync(next + PARTIAL, next);
  for (const old of numbers.slice(0, Math.max(0, numbers.length + 1 - COPIES_KEPT)))
    rmSync(join(folder, String(old)), { recursive: true });
}

const numbersIn = (folder: string): readonly number[] =>
  readdirSync(folder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
