import { instant } from "@nixwave/effects";
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { formatInstant, instantText, parseInstant } from "./time.ts";

test.each([
  ["seconds without a fraction", "2026-11-24T13:00:00Z"],
  ["microseconds", "2026-11-24T13:00:00.000000Z"],
  ["an offset", "2026-11-24T13:00:00.000+00:00"],
  ["a space for T", "2026-11-24 13:00:00.000Z"],
  ["lower case", "2026-11-24t13:00:00.000z"],
  ["a day that no month has", "2026-02-31T13:00:00.000Z"],
  ["an hour 24", "2026-11-24T24:00:00.000Z"],
  ["a leap second", "2026-12-31T23:59:60.000Z"],
  ["a time before the epoch", "1969-12-31T23:59:59.999Z"],
  ["a newline behind it", "2026-11-24T13:00:00.000Z\n"],
  ["five digits of a year", "12026-11-24T13:00:00.000Z"],
  ["nothing", ""],
])("%s is no instant", (_, text) => {
  expect(parseInstant(text).ok).toBe(false);
  expect(instantText.safeParse(text).error?.issues[0]?.message).toContain(
    "2026-11-24T13:00:00.000Z",
  );
});

test("an instant has one spelling, and comes back from it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (ms) => {
      const text = formatInstant(instant(ms));
      expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(parseInstant(text)).toEqual({ ok: true, value: ms });
      expect(z.encode(instantText, z.decode(instantText, text))).toBe(text);
    }),
  );
});

test("an instant after the year 9999 is our bug, and is not written as something else", () => {
  expect(() => formatInstant(instant(253_402_300_800_000))).toThrow(RangeError);
});
