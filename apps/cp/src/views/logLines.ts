import { invariant, isOffset, type Offset } from "@nixwave/effects";
import { type EventsPage, type LogLine, storedLogLine } from "@nixwave/protocol";
import type { LogFilter } from "../log/eventLog.ts";
import type { Reader } from "../store/reader.ts";

/** A stored line as it was committed; one that can't be read is our bug or a damaged database, never passed over. */
function readLine({ offset, line }: { readonly offset: Offset; readonly line: string }): LogLine {
  const read = storedLogLine.safeParse(JSON.parse(line));
  invariant(read.success, `the log's line at ${offset} is one of ours; nixwave-cp check says more`);
  return read.data;
}

const FIRST: Offset = first();

function first(): Offset {
  const offset = 0;
  invariant(isOffset(offset), "the log begins at 0");
  return offset;
}

/** The position after this one; null stands for the start of the log. */
function offsetAfter(after: Offset | null): Offset {
  if (after === null) return FIRST;
  const next = after + 1;
  invariant(isOffset(next), `${after} has a position after it`);
  return next;
}

function offsetBefore(next: Offset): Offset | null {
  const before = next - 1;
  return isOffset(before) ? before : null;
}

/** Lines after a position. `after` of the page is where to go on, also where nothing matched. */
export function eventsPage(
  reader: Reader,
  ask: { readonly filter: LogFilter; readonly after: Offset | null; readonly limit: number },
  newest: Offset | null,
): EventsPage {
  const page = reader.events(ask.filter, { from: offsetAfter(ask.after), limit: ask.limit });
  return {
    items: page.lines.map(readLine),
    after: offsetBefore(page.next),
    beginsAt: reader.logBeginsAt(),
    newest,
  };
}

/** Where the log begins, if what is told goes back to before that; null where the log has all of it. */
export function beginsAfter(reader: Reader, earliest: Offset | null): Offset | null {
  const beginsAt = reader.logBeginsAt();
  return earliest !== null && earliest < beginsAt ? beginsAt : null;
}

/** Every matching line from there on, the oldest first, up to `max`: for views about one host or one rollout. */
export function readAll(
  reader: Reader,
  filter: LogFilter,
  { from: begin = FIRST, max }: { readonly from?: Offset; readonly max: number },
): readonly LogLine[] {
  const lines: LogLine[] = [];
  let from = begin;
  while (lines.length < max) {
    const page = reader.events(filter, { from, limit: max - lines.length });
    lines.push(...page.lines.map(readLine));
    if (!page.more) break;
    from = page.next;
  }
  return lines;
}
