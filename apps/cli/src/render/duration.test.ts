import { instant } from "@nixwave/effects";
import { expect, test } from "vitest";
import { age, ago, duration, parseDuration, wallClock } from "./duration.ts";

test.each([
  [-5, "0:00"],
  [0.9, "0:00"],
  [41, "0:41"],
  [60, "1:00"],
  [1052, "17:32"],
  [3599, "59:59"],
  [3600, "1:00:00"],
  [12_005, "3:20:05"],
  [172_799, "47:59:59"],
  [172_800, "2 d 0 h"],
  [187_200, "2 d 4 h"],
])("a duration of %d s reads %s", (secs, text) => {
  expect(duration(secs)).toBe(text);
});

test.each([
  [0, "0 s"],
  [59.9, "59 s"],
  [60, "1 min"],
  [3599, "59 min"],
  [3600, "1 h"],
  [172_799, "47 h"],
  [172_800, "2 d"],
])("an age of %d s reads %s", (secs, text) => {
  expect(age(secs)).toBe(text);
});

test.each([
  ["90s", 90],
  ["30m", 1800],
  ["30min", 1800],
  [" 2h ", 7200],
  ["7 d", 604_800],
  ["0h", null],
  ["2", null],
  ["h", null],
  ["1.5h", null],
  ["-1h", null],
  ["2 weeks", null],
  ["9999999s", null],
])("parses the duration %j as %j", (text, secs) => {
  expect(parseDuration(text)).toBe(secs);
});

test("a wall clock is read in the style's time zone, and says when it is another day", () => {
  const now = instant(Date.parse("2026-11-24T09:24:10.000Z"));
  const earlier = instant(Date.parse("2026-11-20T09:24:10.000Z"));
  const coming = instant(Date.parse("2026-11-26T10:24:10.000Z"));
  expect(wallClock(now, now, "UTC")).toBe("09:24:10");
  expect(wallClock(now, now, "Europe/Berlin")).toBe("10:24:10");
  expect(wallClock(earlier, now, "UTC")).toBe("09:24:10, 4 d ago");
  expect(wallClock(coming, now, "UTC")).toBe("10:24:10, in 2 d");
  expect(ago(earlier, now)).toBe("4 d ago");
});
