import { type LogLine, storedLogLine } from "@nixwave/protocol";
import type { LogFilter } from "./eventLog.ts";
import { namesOf } from "./names.ts";

/** Decodes a stored line; one that this version does not know stops whoever reads, it is never passed over. */
export const parseLine = (text: string): LogLine => storedLogLine.parse(JSON.parse(text));

/** The texts of a segment, without their newlines. */
export const textsOf = ({ lines }: { readonly lines: string }): readonly string[] =>
  lines.split("\n").slice(0, -1);

/** Whether a line is among those asked for; the names are looked for in it, whatever an index says. */
export function matches(filter: LogFilter, text: string): boolean {
  if (Object.keys(filter).length === 0) return true;
  const line = parseLine(text);
  const names = namesOf(line);
  return (
    (filter.host === undefined || names.host === filter.host) &&
    (filter.rolloutId === undefined || names.rolloutId === filter.rolloutId) &&
    (filter.kind === undefined || line.kind === filter.kind)
  );
}
