import { instant } from "@nixwave/effects";
import { parseLine, textsOf } from "../log/read.ts";
import { EMPTY_LOG, FIRST_OFFSET, GENESIS, segmentHash } from "../log/segment.ts";
import { sqliteLog } from "../log/sqliteLog.ts";
import type { Stamped } from "../store/change.ts";
import type { Connection } from "../store/database.ts";
import { fold } from "../store/fold.ts";
import { loadReleases } from "../store/load.ts";
import { applyToMemory, emptyMemory } from "../store/memory.ts";

/** What is wrong with the stored log itself, with the place. */
export interface ChainBreak {
  readonly firstOffset: number;
  readonly what: string;
}

/** Folds every stored line, oldest first, with nothing but the releases; neither plans nor asks any clock. */
export function foldLog(
  db: Connection,
  write: (stamped: Stamped) => void,
): { readonly lines: number } {
  const memory = emptyMemory(instant(0), EMPTY_LOG);
  for (const release of loadReleases(db)) memory.releases.set(release.rolloutId, release);
  let lines = 0;
  for (const segment of sqliteLog(db).segments(FIRST_OFFSET)) {
    for (const text of textsOf(segment)) {
      const line = parseLine(text);
      const { changes } = fold(memory, line, () => undefined);
      for (const change of changes) {
        write({ offset: line.offset, change });
        applyToMemory(memory, change);
      }
      lines += 1;
    }
  }
  return { lines };
}

/** Walks the hash chain: each segment follows the one before, holds as many lines as it says, and hashes to its hash. */
export function chainBreaks(db: Connection): readonly ChainBreak[] {
  const breaks: ChainBreak[] = [];
  let next: number = FIRST_OFFSET;
  let hash: string = GENESIS;
  for (const segment of sqliteLog(db).segments(FIRST_OFFSET)) {
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
