import { invariant, type Offset } from "@nixwave/effects";
import type { EventLog, StoredSegment } from "./eventLog.ts";
import { matches, textsOf } from "./read.ts";
import { FIRST_OFFSET, GENESIS, offsetAfter } from "./segment.ts";

/** The dumb twin of the log in a database: an array, and every line looked at. */
export function memoryLog(): EventLog {
  let kept: readonly StoredSegment[] = [];
  let committed = kept;
  const end = (): Offset => {
    const last = kept.at(-1);
    return last === undefined ? FIRST_OFFSET : offsetAfter(last.firstOffset, last.count);
  };
  return {
    append(segment) {
      const isNext =
        segment.firstOffset === end() && segment.prevHash === (kept.at(-1)?.hash ?? GENESIS);
      invariant(isNext, `the segment at ${segment.firstOffset} continues the log`);
      kept = [...kept, segment];
      return segment.firstOffset;
    },
    read(filter, { from, limit }) {
      const all = kept.flatMap((segment) =>
        textsOf(segment).map((line, place) => ({
          offset: offsetAfter(segment.firstOffset, place),
          line,
        })),
      );
      const found = all.filter(({ offset, line }) => offset >= from && matches(filter, line));
      const lines = found.slice(0, limit);
      const more = found.length > limit;
      const last = lines.at(-1);
      const next = more && last !== undefined ? offsetAfter(last.offset, 1) : end();
      return { lines, next: next > from ? next : from, more };
    },
    segments: (from) => kept.filter(({ firstOffset, count }) => firstOffset + count > from),
    beginsAt: () => kept[0]?.firstOffset ?? end(),
    dropBefore(offset) {
      kept = kept.filter(({ firstOffset }) => firstOffset >= offset);
    },
    ended(how) {
      if (how === "committed") committed = kept;
      else kept = committed;
    },
  };
}
