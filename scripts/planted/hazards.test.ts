import { existsSync } from "node:fs";
import { join } from "node:path";
import { FULL_WORLDS } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { randomScenario } from "../sim/randomScenario.ts";
import {
  isNode,
  isTest,
  parseSource,
  ROOT,
  read,
  repositoryFiles,
  type Source,
  walk,
} from "../source.ts";
import { BUGS } from "./bugs.ts";
import { SCENARIOS } from "./scenarios.ts";

// docs/hazards-simulated.md says of each hazard what would catch it in a simulated world, or why nothing would.

const DOC = "docs/hazards-simulated.md";
const LAST = 100;
const NAMED = /(invariant|planted|scenario|fault|exhaustive) `([^`]+)`/g;
const PLACE = /\b(?:apps|packages|scripts)\/[\w./-]+\.ts\b/g;

interface Row {
  readonly number: number;
  readonly caughtBy: string;
  readonly how: string;
}

const rows: readonly Row[] = read(DOC)
  .split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .filter((cells) => /^\d+$/.test(cells[1] ?? ""))
  .map((cells) => ({
    number: Number(cells[1]),
    caughtBy: cells[2] ?? "",
    how: cells[3] ?? "",
  }));

/** The names with which a world can fail: literals that are handed to `fail` or `#hold`, or are a violation's `invariant`. */
function invariantsOf({ program }: Source): readonly string[] {
  const names: string[] = [];
  const take = (node: unknown): void => {
    if (isNode(node) && typeof node["value"] === "string") names.push(node["value"]);
  };
  walk(program, (node) => {
    if (node.type === "Property" && nameOf(node["key"]) === "invariant") take(node["value"]);
    const callee = node.type === "CallExpression" ? node["callee"] : undefined;
    if (!isNode(callee) || !/^(fail|hold)$/.test(nameOf(callee["property"]))) return;
    if (Array.isArray(node["arguments"])) take(node["arguments"][0]);
  });
  return names;
}

/** `x`, and `#x` likewise. */
const nameOf = (node: unknown): string =>
  isNode(node) && typeof node["name"] === "string" ? node["name"] : "";

const INVARIANTS = new Set(
  repositoryFiles()
    .filter((path) => path.startsWith("scripts/sim/") && path.endsWith(".ts") && !isTest(path))
    .flatMap((path) => invariantsOf(parseSource(path, read(path)))),
);

/** Kinds that are drawn, not those that a type has: what has no weight strikes nobody. */
const SEEDS_MAX = 1000;
const FAULTS = new Set(
  Array.from({ length: SEEDS_MAX }, (_, index) => randomScenario(index + 1).faults).flatMap(
    (faults) => faults.map(({ kind }): string => kind),
  ),
);

const KNOWN: Readonly<Record<string, (name: string) => boolean>> = {
  invariant: (name) => INVARIANTS.has(name),
  planted: (name) => BUGS.some((bug) => bug.name === name),
  scenario: (name) => Object.hasOwn(SCENARIOS, name),
  fault: (name) => FAULTS.has(name),
  exhaustive: (name) => FULL_WORLDS.some((world) => world.name === name),
};

test("the names with which a world can fail are found in the source, and nothing else is", () => {
  const strange = [...INVARIANTS].filter(
    (name) => !/^(I\d+(\/I\d+)?|[a-z]+(-[a-z]+)+|pace)$/.test(name),
  );
  expect(strange).toEqual([]);
  expect([...INVARIANTS]).toEqual(expect.arrayContaining(["I1", "I14", "no-bug", "never-older"]));
  expect(INVARIANTS).not.toContain("I15");
});

test("what is to tell of a planted bug is a name with which a world can fail", () => {
  const mute = BUGS.flatMap(({ name, tells }) =>
    tells.filter((each) => !INVARIANTS.has(each)).map((each) => `${name}: ${each}`),
  );
  expect(mute).toEqual([]);
});

test(`${DOC} names each hazard from 1 to ${LAST} once, in order`, () => {
  const expected = Array.from({ length: LAST }, (_, index) => index + 1);
  expect(rows.map(({ number }) => number)).toEqual(expected);
});

test("each row has something that catches it, or a sentence that says why not", () => {
  const vague = rows.filter(({ caughtBy, how }) => {
    const nothingElse = caughtBy.replaceAll(NAMED, "").replaceAll(/[, ]/g, "");
    const isNone = caughtBy === "—";
    return how.length < 8 || !how.endsWith(".") || (!isNone && nothingElse !== "");
  });
  expect(vague, "the second column holds kinds with names, or —").toEqual([]);
});

test("every invariant, planted bug, scenario, fault, small world and file that is named exists", () => {
  const broken = rows.flatMap(({ number, caughtBy, how }) => [
    ...[...caughtBy.matchAll(NAMED)].flatMap(([, kind = "", name = ""]) =>
      KNOWN[kind]?.(name) === true ? [] : [`${number}: there is no ${kind} "${name}"`],
    ),
    ...[...how.matchAll(PLACE)].flatMap(([place]) =>
      existsSync(join(ROOT, place)) ? [] : [`${number}: ${place} does not exist`],
    ),
  ]);
  expect(broken).toEqual([]);
});

test("every planted bug stands beside the hazard that it is", () => {
  const named = rows.flatMap(({ caughtBy }) => [...caughtBy.matchAll(NAMED)]);
  const names = new Set(named.map(([, , name]) => name));
  expect(BUGS.map(({ name }) => name).filter((name) => !names.has(name))).toEqual([]);
});
