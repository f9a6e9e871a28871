import { addSecs, instant, parseHostName } from "@nixwave/effects";
import { expect, it } from "vitest";
import { EVENTS_BURST, RateLimit } from "./rateLimit.ts";

const start = instant(1_800_000_000_000);
const web1 = parseHostName("web-1");
const web2 = parseHostName("web-2");
if (!web1.ok || !web2.ok) throw new Error("the names of this test are host names");

it("lets a burst in, then two events a second, per host", () => {
  const limit = new RateLimit();
  expect(limit.take(web1.value, EVENTS_BURST, start)).toBe(0);
  expect(limit.take(web1.value, 1, start)).toBe(1);
  expect(limit.take(web2.value, 1, start)).toBe(0);
  expect(limit.take(web1.value, 10, start)).toBe(5);
  expect(limit.take(web1.value, 10, addSecs(start, 5))).toBe(0);
  expect(limit.take(web1.value, 1, addSecs(start, 5))).toBe(1);
});

it("takes nothing when it refuses, and never grows beyond the burst", () => {
  const limit = new RateLimit();
  expect(limit.take(web1.value, EVENTS_BURST - 1, start)).toBe(0);
  expect(limit.take(web1.value, 3, start)).toBe(1);
  expect(limit.take(web1.value, 1, start)).toBe(0);
  const later = addSecs(start, 1_000_000);
  expect(limit.take(web1.value, EVENTS_BURST, later)).toBe(0);
  expect(limit.take(web1.value, 1, later)).toBe(1);
});

it("takes a clock that goes back for no time passed", () => {
  const limit = new RateLimit();
  expect(limit.take(web1.value, EVENTS_BURST, addSecs(start, 100))).toBe(0);
  expect(limit.take(web1.value, 1, start)).toBe(1);
});
