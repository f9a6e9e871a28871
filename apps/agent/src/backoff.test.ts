import { expect, test } from "vitest";
import { Backoff } from "./backoff.ts";

/** A timer that fires at once and keeps what was asked of it. */
function instantly() {
  const waits: number[] = [];
  const timer = {
    after: (ms: number, fire: () => void) => {
      waits.push(ms);
      queueMicrotask(fire);
      return () => {};
    },
  };
  return { waits, timer };
}

const { signal } = new AbortController();

test("full jitter, doubling from a second to a minute, and from the start again after a success (hazard 80)", async () => {
  const { waits, timer } = instantly();
  const backoff = new Backoff(timer, { unit: () => 0.999, hex: () => "" });
  for (let failures = 0; failures < 9; failures += 1) await backoff.failed(signal);
  expect(waits.map((ms) => Math.round(ms / 1000))).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  backoff.succeeded();
  await backoff.failed(signal);
  expect(waits.at(-1)).toBeLessThanOrEqual(1000);
});

test("what the answer asks for is the least, and a fleet does not come back in step", async () => {
  const { waits, timer } = instantly();
  const early = new Backoff(timer, { unit: () => 0, hex: () => "" });
  const late = new Backoff(timer, { unit: () => 0.9, hex: () => "" });
  await early.failed(signal, 30);
  await late.failed(signal, 30);
  expect(waits).toEqual([30_000, 30_900]);
});
