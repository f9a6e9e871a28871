import fc from "fast-check";
import { expect } from "vitest";
import { cpuMs } from "./cpu.fixture.ts";

// What the fuzz tests of the apps have in common.

/** CPU time of one answer, for inputs of up to some kilobytes. */
const CPU_MS_MAX = 1000;

export async function timed<T>(act: () => T | Promise<T>): Promise<T> {
  const began = cpuMs();
  const done = await act();
  expect(cpuMs() - began).toBeLessThan(CPU_MS_MAX);
  return done;
}

/** A good text with a part that is another, a cut of it, and what is far from it. */
export const near = (good: { readonly [key: string]: unknown }): fc.Arbitrary<string> => {
  const text = JSON.stringify(good);
  return fc.oneof(
    fc
      .tuple(fc.constantFrom(...Object.keys(good)), fc.jsonValue())
      .map(([key, value]) => JSON.stringify({ ...good, [key]: value })),
    fc
      .tuple(fc.string({ maxLength: 20 }), fc.jsonValue())
      .map(([key, value]) => JSON.stringify({ ...good, [key]: value })),
    fc.nat(text.length).map((at) => text.slice(0, at)),
    fc.json(),
    fc.string({ unit: "binary", maxLength: 400 }),
    fc.nat(5000).map((depth) => "[".repeat(depth)),
  );
};
