import { expect, test } from "vitest";
import type { Timer } from "../ports.ts";
import { type CheckOutcome, failed, PASS } from "./check.ts";
import { runOnSchedule } from "./schedule.ts";

/** Waits that were asked for, ended by hand. */
function handTimer() {
  const waits: { readonly ms: number; readonly fire: () => void }[] = [];
  const asked: number[] = [];
  const timer: Timer = {
    after: (ms, fire) => {
      asked.push(ms);
      const wait = { ms, fire };
      waits.push(wait);
      return () => void waits.splice(waits.indexOf(wait), 1);
    },
  };
  return { timer, asked, next: () => waits.shift()?.fire() };
}
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

function scheduled(run: () => Promise<CheckOutcome>, jitter = 0.5) {
  const hand = handTimer();
  const stop = new AbortController();
  const reports: CheckOutcome[] = [];
  const done = runOnSchedule(
    { intervalSecs: 10, run, report: async (outcome) => void reports.push(outcome) },
    { timer: hand.timer, random: { unit: () => jitter, hex: () => "" } },
    stop.signal,
  );
  return { hand, stop, reports, done };
}

test("the first run is at once, the next after the interval", async () => {
  const { hand, stop, reports, done } = scheduled(async () => PASS);
  await settled();
  expect(reports).toHaveLength(1);
  expect(hand.asked).toEqual([10_000]);
  hand.next();
  await settled();
  expect(reports).toHaveLength(2);
  stop.abort();
  await done;
});

test.each([
  [0, 9000],
  [0.999_999, 11_000],
])("jitter %d makes the interval %d ms", async (jitter, ms) => {
  const { hand, stop, done } = scheduled(async () => PASS, jitter);
  await settled();
  expect(hand.asked[0]).toBeCloseTo(ms, -1);
  stop.abort();
  await done;
});

test("never two runs at a time: a slow one delays the next", async () => {
  let running = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const { hand, stop, reports, done } = scheduled(async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => ends.push(resolve));
    running -= 1;
    return PASS;
  });
  await settled();
  expect(hand.asked).toEqual([]);
  ends.shift()?.();
  await settled();
  hand.next();
  await settled();
  expect(most).toBe(1);
  expect(reports).toHaveLength(1);
  stop.abort();
  ends.shift()?.();
  await done;
});

test("a run that is over when the runner was stopped is not reported", async () => {
  const ends: (() => void)[] = [];
  const { stop, reports, done } = scheduled(async () => {
    await new Promise<void>((resolve) => ends.push(resolve));
    return PASS;
  });
  await settled();
  stop.abort();
  ends.shift()?.();
  await done;
  expect(reports).toEqual([]);
});

test("a runner that throws has failed", async () => {
  const { stop, reports, done } = scheduled(() => Promise.reject(new Error("a bug")));
  await settled();
  expect(reports).toEqual([failed("the probe broke: a bug")]);
  stop.abort();
  await done;
});
