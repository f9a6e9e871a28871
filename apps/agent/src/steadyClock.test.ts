import { addSecs, instant } from "@nixwave/effects";
import { START } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { SteadyClock } from "./steadyClock.ts";

function clocks(wallMs: number) {
  const hands = { wall: wallMs, monotonic: 5000 };
  const clock = { wallMs: () => hands.wall, monotonicMs: () => hands.monotonic };
  const pass = (secs: number): void => {
    hands.wall += secs * 1000;
    hands.monotonic += secs * 1000;
  };
  return { hands, clock, pass };
}

const noMetadata = { journalNow: null, newestMetadataAt: null };

test("it begins at the wall clock, or at the journal's last now if that is later (I12)", () => {
  const { clock } = clocks(START);
  expect(new SteadyClock(clock, noMetadata).now()).toBe(START);
  const journalNow = addSecs(START, 3600);
  expect(new SteadyClock(clock, { ...noMetadata, journalNow }).now()).toBe(journalNow);
});

test("a wall clock that jumps moves nothing while something is in flight", () => {
  const { hands, clock, pass } = clocks(START);
  const steady = new SteadyClock(clock, noMetadata);
  pass(10);
  hands.wall += 365 * 24 * 3600 * 1000;
  expect(steady.now()).toBe(addSecs(START, 10));
  hands.wall = START - 1e9;
  pass(10);
  expect(steady.now()).toBe(addSecs(START, 20));
});

test("it follows the wall clock forward only", () => {
  const { hands, clock, pass } = clocks(START);
  const steady = new SteadyClock(clock, noMetadata);
  hands.wall = START - 60_000;
  steady.followWall();
  expect(steady.now()).toBe(START);
  hands.wall = START + 60_000;
  steady.followWall();
  expect(steady.now()).toBe(addSecs(START, 60));
  pass(1);
  expect(steady.now()).toBe(addSecs(START, 61));
});

test("a wall clock more than 30 days ahead of the newest metadata is ignored, and that can be said", () => {
  const newestMetadataAt = START;
  const { clock } = clocks(START + 31 * 24 * 3600 * 1000);
  const steady = new SteadyClock(clock, { journalNow: instant(START + 1000), newestMetadataAt });
  expect(steady.now()).toBe(START + 1000);
  expect(steady.wallIsAhead).toBe(true);
  steady.followWall();
  expect(steady.now()).toBe(START + 1000);
});

test("expiry is measured by the later of both clocks: a wall clock that was set back makes nothing valid again", () => {
  const { clock, hands } = clocks(START);
  const steady = new SteadyClock(clock, { journalNow: addSecs(START, 60), newestMetadataAt: null });
  expect(steady.latest()).toBe(addSecs(START, 60));
  hands.wall = START + 90_000;
  expect(steady.latest()).toBe(addSecs(START, 90));
  hands.wall = START - 90_000;
  expect(steady.latest()).toBe(addSecs(START, 60));
});

test("a host that was off for months is right about the time as soon as it has verified what is newest", () => {
  const later = addSecs(START, 100 * 86_400);
  const { clock } = clocks(later);
  const steady = new SteadyClock(clock, { journalNow: START, newestMetadataAt: START });
  steady.followWall();
  expect(steady.now()).toBe(START);
  steady.verified(addSecs(later, -86_400));
  steady.followWall();
  expect(steady.now()).toBe(later);
  // What is older takes nothing back.
  steady.verified(START);
  expect(steady.wallIsAhead).toBe(false);
});
