import { isDeepStrictEqual } from "node:util";
import { SeededRandom } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { isSame } from "./equal.ts";

const LEAVES = [null, undefined, true, 0, -0, 1, Number.NaN, "", "a"];

/** Few keys and few values, so that two of them are the same often enough. */
function plain(random: SeededRandom, depth: number): unknown {
  const kind = depth === 0 ? "leaf" : random.pick(["leaf", "list", "record", "record"]);
  if (kind === "leaf") return LEAVES[random.between(0, LEAVES.length - 1)];
  const parts = Array.from({ length: random.between(0, 2) }, () => plain(random, depth - 1));
  if (kind === "list") return parts;
  const keys = random.some(["a", "b", "c"], parts.length);
  return Object.fromEntries(keys.map((key, place) => [key, parts[place]]));
}

const SEED = 20_261_129;

test(`plain data are the same where node:util says so: seed ${SEED}`, () => {
  const random = new SeededRandom(SEED, "plain");
  const counted = { same: 0, other: 0 };
  for (let round = 0; round < 5000; round += 1) {
    const [one, two] = [plain(random, 3), plain(random, 3)];
    expect([one, two, isSame(one, two)]).toEqual([one, two, isDeepStrictEqual(one, two)]);
    expect(isSame(one, structuredClone(one))).toBe(true);
    if (typeof one === "object" && one !== null) counted[isSame(one, two) ? "same" : "other"] += 1;
  }
  expect(counted.same).toBeGreaterThan(50);
  expect(counted.other).toBeGreaterThan(50);
});

test("what is no plain data is refused, for its fields would be passed over", () => {
  expect(() => isSame({ at: new Map([[1, 2]]) }, { at: new Map([[1, 3]]) })).toThrow(TypeError);
});
