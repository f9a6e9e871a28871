import { instant, type Offset, type Sha256 } from "@nixwave/effects";
import { parseLine, textsOf } from "../log/read.ts";
import { EMPTY_LOG, FIRST_OFFSET, GENESIS, REDUCERS_VERSION, segmentHash } from "../log/segment.ts";
import { sqliteLog } from "../log/sqliteLog.ts";
import { type Connection, emptyDatabase } from "../store/database.ts";
import { fold } from "../store/fold.ts";
import { load, loadReleases } from "../store/load.ts";
import { applyToMemory, emptyMemory, type Memory, memoryFrom } from "../store/memory.ts";
import { preparing, writeChange } from "../store/rows.ts";
import { checkpointsOf, restoreSnapshot, takeSnapshot } from "../store/snapshot.ts";

/** What is wrong with the stored log itself, with the place. */
export interface ChainBreak {
  readonly firstOffset: number;
  readonly what: string;
}

/** What a fold of the stored log gave. */
export interface FoldedLog {
  readonly lines: number;
  /** Where it began: at the first line of all, or at a checkpoint. */
  readonly from: Offset;
  /** Checkpoints of which the line says other tables than the fold has. */
  readonly strange: readonly ChainBreak[];
  /** An own database in memory, with the derived tables as they follow from the log. Whoever asked closes it. */
  readonly tables: Connection;
}

/** The log can't be folded by this version; the message says what to do. */
class NothingToFold extends Error {
  override readonly name = "NothingToFold";
}

/**
 * Folds the stored lines, oldest first, with nothing but the releases; neither plans nor asks any clock. Begins as early as lines of this
 * version's reducers do, so that checkpoints on the way are checked and not believed.
 */
export function foldLog(db: Connection): FoldedLog {
  const from = foldableFrom(db);
  const tables = emptyDatabase();
  try {
    return { ...foldFrom(db, from, tables), from, tables };
  } catch (cause) {
    tables.close();
    throw cause;
  }
}

function foldFrom(
  db: Connection,
  from: Offset,
  tables: Connection,
): Pick<FoldedLog, "lines" | "strange"> {
  const sql = preparing(tables);
  const strange: ChainBreak[] = [];
  const memory = memoryAt(db, from, tables);
  let lines = 0;
  for (const segment of sqliteLog(db).segments(from)) {
    for (const text of textsOf(segment)) {
      const line = parseLine(text);
      const { offset } = line;
      if (line.kind === "Checkpoint" && takeSnapshot(tables).sha256 !== line.sha256)
        strange.push({
          firstOffset: offset,
          what: "the tables that its checkpoint was made of are not those that the log gives",
        });
      for (const change of fold(memory, line, () => undefined).changes) {
        writeChange(sql, { offset, change });
        applyToMemory(memory, change);
      }
      lines += 1;
    }
  }
  return { lines, strange };
}

function memoryAt(db: Connection, from: Offset, tables: Connection): Memory {
  const beginning = instant(0);
  if (from > FIRST_OFFSET) restoreSnapshot(db, from, tables);
  const releases = loadReleases(db);
  if (from > FIRST_OFFSET)
    return memoryFrom({ ...load(tables), releases }, { readyAt: beginning, now: beginning });
  const memory = emptyMemory(beginning, EMPTY_LOG);
  for (const release of releases) memory.releases.set(release.rolloutId, release);
  return memory;
}

/** The earliest place from which every line was folded by this version, and before which nothing is needed. */
function foldableFrom(db: Connection): Offset {
  const beginsAt = sqliteLog(db).beginsAt();
  const other = db
    .prepare("SELECT max(first_offset) FROM log_segments WHERE version <> ?")
    .pluck()
    .get(REDUCERS_VERSION);
  const after = typeof other === "number" ? other : -1;
  const places = [
    ...(beginsAt === FIRST_OFFSET ? [FIRST_OFFSET] : []),
    ...checkpointsOf(db)
      .filter(({ offset }) => offset >= beginsAt)
      .map(({ offset }) => offset),
  ];
  const from = places.find((place) => place > after);
  if (from !== undefined) return from;
  throw new NothingToFold(
    `The log was written by another version of nixwave-cp, up to offset ${after}, and has no checkpoint of this one: start nixwave-cp serve once, or check with the version that wrote it.`,
  );
}

/**
 * Walks the hash chain: each segment follows the one before, holds as many lines as it says, and hashes to its hash. A log whose beginning
 * is archived begins at a checkpoint, and what came before is the archive's to prove (archive.ts).
 */
export function chainBreaks(db: Connection): readonly ChainBreak[] {
  const breaks: ChainBreak[] = [];
  const log = sqliteLog(db);
  const begin = beginning(db);
  let next: number = begin.offset;
  let { hash } = begin;
  for (const segment of log.segments(FIRST_OFFSET)) {
    const { firstOffset, count } = segment;
    const found = (what: string): void => void breaks.push({ firstOffset, what });
    if (firstOffset !== next) found(`the lines from ${next} to ${firstOffset - 1} are missing`);
    if (segment.prevHash !== hash) found("it does not continue the segment before it");
    if (textsOf(segment).length !== count)
      found(`it does not hold the ${count} lines that it says`);
    if (segmentHash(segment) !== segment.hash) found("its lines are not those that were hashed");
    next = firstOffset + count;
    hash = segment.hash;
  }
  return breaks;
}

/** The hash that the first stored segment must continue. Lines are archived up to a checkpoint only: any other beginning is a loss. */
export function beginning(db: Connection): { readonly offset: Offset; readonly hash: Sha256 } {
  const log = sqliteLog(db);
  const offset = log.beginsAt();
  const isKept = checkpointsOf(db).some((checkpoint) => checkpoint.offset === offset);
  if (!isKept) return { offset: FIRST_OFFSET, hash: GENESIS };
  for (const { prevHash } of log.segments(offset)) return { offset, hash: prevHash };
  return { offset: FIRST_OFFSET, hash: GENESIS };
}
