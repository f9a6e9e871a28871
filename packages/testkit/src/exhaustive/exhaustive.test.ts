import { describe, expect, test } from "vitest";
import { PLANTED } from "./bugs.ts";
import { coverageOf, QUICK_ONLY } from "./coverage.ts";
import { foundText } from "./report.ts";
import { type Found, Search } from "./search.ts";
import type { Setting } from "./setting.ts";
import { QUICK } from "./worlds.ts";

const run = (world: Setting): Found =>
  new Search(world).run({ statesMax: 1_000_000, secondsMax: 120 }, () => performance.now());

describe("every interleaving of a small world", () => {
  const found = new Map<string, Found>();

  test.each(QUICK)("$name", { timeout: 180_000 }, (world) => {
    const result = run(world);
    found.set(world.name, result);
    expect(result.failure === null ? null : foundText(result)).toBeNull();
    expect(result.end).toBe("closure");
  });

  test("every cell of the tables is reached by one of them, or is listed with its reason", () => {
    const watches = [...found.values()].map(({ watch }) => watch);
    expect(watches).toHaveLength(QUICK.length);
    expect(coverageOf(watches, QUICK_ONLY)).toMatchObject({ unreached: [], stale: [] });
  });
});

describe("a planted bug is found by the invariant that it breaks", () => {
  test.each(PLANTED)("$bug: $tells", { timeout: 120_000 }, ({ world, tells }) => {
    const { failure } = run(world);
    expect(failure?.what.split(":")[0]).toBe(tells);
    // Without it the same world is sound, at least as far.
    const depthMax = (failure?.path.length ?? 0) + 1;
    const sound = run({ ...world, bug: null, depthMax });
    expect(sound.failure === null ? null : foundText(sound)).toBeNull();
  });
});
