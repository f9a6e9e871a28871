import type { Instant } from "@nixwave/effects";
import { parseInstant } from "@nixwave/protocol";
import { Refusal } from "./refusal.ts";
import { inSecs, parseDuration } from "./render/duration.ts";

const EXPECTED =
  "expected a time from now such as 30m, 2h or 7d, or an instant such as 2026-11-24T13:00:00.000Z";

/** `--until 2h` or an RFC 3339 instant; null where there is no end. */
export function untilOf(text: string | undefined, now: Instant): Instant | null {
  if (text === undefined) return null;
  const secs = parseDuration(text);
  if (secs !== null) return inSecs(now, secs);
  // A person leaves the milliseconds out; the wire has one spelling.
  const read = parseInstant(/^[^.]+Z$/.test(text) ? text.replace(/Z$/, ".000Z") : text);
  if (!read.ok) throw new Refusal(`--until “${text}”: ${EXPECTED}.`);
  if (read.value <= now) throw new Refusal(`--until “${text}” is over already: ${EXPECTED}.`);
  return read.value;
}

/** `--timeout 10m` in seconds. */
export function secsOf(option: string, text: string): number {
  const secs = parseDuration(text);
  if (secs === null) {
    throw new Refusal(`${option} “${text}”: expected a duration such as 90s, 10m or 2h.`);
  }
  return secs;
}
