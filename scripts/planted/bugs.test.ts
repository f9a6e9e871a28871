import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseSource, read, repositoryFiles } from "../source.ts";
import { BUGS, patched, pathOf } from "./bugs.ts";
import { SCENARIOS } from "./scenarios.ts";

const GROUNDS = BUGS.map(({ ground }) => ground);

test("there are at least twelve, each with a name of its own", () => {
  expect(BUGS.length).toBeGreaterThanOrEqual(12);
  expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length);
});

test.each(BUGS)("$name: fits today's source once, and what it makes parses", (bug) => {
  const text = readFileSync(pathOf(bug), "utf8");
  const changed = patched(bug, text);
  expect(changed).not.toBe(text);
  expect(() => parseSource(bug.file, changed)).not.toThrow();
});

test.each(["a", "bb"])(
  "a patch whose text is not there once, but as in %j, is refused by name",
  (text) => {
    const [first] = BUGS;
    if (first === undefined) throw new Error("no bug is planted");
    const bug = { ...first, name: "x", file: "f.ts", find: "b", replace: "c" };
    expect(() => patched(bug, text)).toThrow(/bug x replaces a text that f\.ts has \d times/);
  },
);

test("each scenario is the ground of a bug", () => {
  const named = GROUNDS.flatMap((ground) => (ground.kind === "scenario" ? [ground.name] : []));
  expect(Object.keys(SCENARIOS).toSorted()).toEqual([...new Set(named)].toSorted());
});

test("nothing that ships knows of it", () => {
  const shipped = repositoryFiles().filter((path) => /^(apps|packages)\//.test(path));
  expect(shipped.length).toBeGreaterThan(0);
  expect(shipped.filter((path) => /NIXWAVE_PLANT|scripts\/planted/.test(read(path)))).toEqual([]);
});
