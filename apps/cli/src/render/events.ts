import type { LogLine } from "@nixwave/protocol";
import type { Listener } from "../narrate/effect.ts";
import { tell } from "../narrate/logLine.ts";
import { wallClock } from "./duration.ts";
import { padEnd, paint, type Style } from "./style.ts";

/** Widths of a stream can't wait for its longest line; longer names push the rest to the right. */
const HOST_COLUMNS = 12;
const ROLLOUT_COLUMNS = 16;

/** One line of `nixwave events`. */
export function eventLine(style: Style, line: LogLine, listener: Listener): string {
  const told = tell(line, listener);
  const clock = paint(style, "quiet", wallClock(line.receivedAt, listener.now, style.timeZone));
  const host = padEnd(told.host ?? "–", HOST_COLUMNS);
  const rollout = padEnd(told.rollout ?? "–", ROLLOUT_COLUMNS);
  const words = told.tone === null ? told.words : paint(style, told.tone, told.words);
  return `${clock}  ${host}  ${rollout}  ${words}`;
}
