import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";

/** The last sync and the one before it: a test may let the power go while the last commit was being written. */
const COPIES_KEPT = 2;
const PARTIAL = ".partial";

/** Told of each commit, once it has returned. */
export type Committed = (sync: "full" | "normal") => void;

/**
 * A test seam, not an option for people: with NIXWAVE_SYNC_COPY=`<folder>` the folder holds, in a numbered folder for each sync,
 * the database and its log as they are on the disk from then on, whatever becomes of the power. What was committed
 * without a sync since then is what a power cut may take. Null where the setting is not there.
 */
export function syncCopies(folder: string | undefined, database: string): Committed | null {
  if (folder === undefined || folder === "") return null;
  mkdirSync(folder, { recursive: true });
  let checkpointed = checkpointOf(database);
  const copy = (): void => {
    keepCopy(folder, database);
    checkpointed = checkpointOf(database);
  };
  // What is there when a test begins to look survived whatever was before.
  if (numbersIn(folder).length === 0) copy();
  return (sync) => {
    // A commit that ends with a checkpoint is synced by it, even where it did not ask for that.
    if (sync === "full" || checkpointOf(database) !== checkpointed) copy();
  };
}

/** Only a checkpoint writes to the database itself; every commit goes to its log. */
const checkpointOf = (database: string): bigint => statSync(database, { bigint: true }).mtimeNs;

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
