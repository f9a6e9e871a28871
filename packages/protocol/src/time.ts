import { err, type Instant, instant, isInstant, ok, type Result } from "@nixwave/effects";
import { z } from "zod";

const RFC3339_UTC_MS = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const RFC3339_LENGTH = "2026-11-24T13:00:00.000Z".length;

const BAD_INSTANT = "expected an instant such as 2026-11-24T13:00:00.000Z";

/** Reads the one spelling: RFC 3339, UTC, milliseconds. The error is a sentence. */
export function parseInstant(text: string): Result<Instant, string> {
  const ms = RFC3339_UTC_MS.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse takes the 31st of February for the 3rd of March, and the hour 24 for the next day: the day shows both.
  if (!isInstant(ms) || new Date(ms).getUTCDate() !== Number(text.slice(8, 10)))
    return err(BAD_INSTANT);
  return ok(ms);
}

/** Writes the one spelling. The year 9999 is the last that it can hold: a later instant is a RangeError, so our bug. */
export function formatInstant(at: Instant): string {
  const text = new Date(at).toISOString();
  // Beyond it the year has a sign and six digits.
  if (text.length !== RFC3339_LENGTH)
    throw new RangeError(`the instant ${at} lies after the year 9999`);
  return text;
}

/** RFC 3339 on the wire and in release files, Instant in memory. */
export const instantText = z
  .codec(z.string({ error: BAD_INSTANT }), z.number().refine(isInstant), {
    decode: (text, context) => {
      const read = parseInstant(text);
      if (read.ok) return read.value;
      context.issues.push({ code: "custom", message: read.error, input: text });
      return z.NEVER;
    },
    encode: (at) => formatInstant(instant(at)),
  })
  .meta({ description: "RFC 3339 UTC with milliseconds: 2026-11-24T13:00:00.000Z" });

/** Whole milliseconds since the epoch: the form in which the CP's log and both databases keep instants. */
const MS = { error: "expected a whole number of milliseconds since the epoch" };
export const instantMs = z.number(MS).refine(isInstant, MS);
