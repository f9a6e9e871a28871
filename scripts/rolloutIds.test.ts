import { expect, test } from "vitest";
import { isTest, read, repositoryFiles } from "./source.ts";

// Hazards 12 and 14: a rollout's id is made by one constructor, and its channel is never read back out of it. The compiler sees to the
// making (RolloutId is a brand); that nobody takes one apart again is this test's.

const MADE_IN = "packages/effects/src/ids.ts";

/** path → what it takes apart at an @, or puts together with one, that is no rollout's id. */
const OTHER_TEXTS: Readonly<Record<string, string>> = {
  "packages/protocol/src/selector.ts": "@tag@tag, as a person types it",
  "packages/effects/src/plan/clears.ts":
    "the short name that a person types, from the rollout's own fields",
  "apps/cp/src/views/short.ts": "the same, in a view",
  "packages/testkit/src/build.ts": "short names for tests",
};

const TAKES_APART = /\b(?:split|indexOf|lastIndexOf)\(\s*["'`]@["'`]/;
const PUTS_TOGETHER = /\}@\$\{/;
const BRANDS = /\bas RolloutId\b/;

const lines = repositoryFiles()
  .filter((path) => /^(packages|apps)\/.*\.ts$/.test(path) && !isTest(path) && path !== MADE_IN)
  .flatMap((path) =>
    read(path)
      .split("\n")
      .map((line, at) => ({ path, line, at: at + 1 })),
  );
const found = (what: RegExp): readonly string[] =>
  lines
    .filter(({ path, line }) => what.test(line) && OTHER_TEXTS[path] === undefined)
    .map(({ path, line, at }) => `${path}:${at} ${line.trim()}`);

test("no id is taken apart: what one wants to know of a rollout is stored beside it (hazard 12)", () => {
  expect(found(TAKES_APART)).toEqual([]);
});

test("no id is put together but by rolloutId() (hazards 11 and 14)", () => {
  expect(found(PUTS_TOGETHER)).toEqual([]);
  expect(found(BRANDS)).toEqual([]);
  expect(read(MADE_IN)).toMatch(PUTS_TOGETHER);
});

test("each exception still is one", () => {
  const stale = Object.keys(OTHER_TEXTS).filter(
    (path) =>
      !lines.some(
        (each) =>
          each.path === path && (TAKES_APART.test(each.line) || PUTS_TOGETHER.test(each.line)),
      ),
  );
  expect(stale, "take it out of OTHER_TEXTS").toEqual([]);
});
