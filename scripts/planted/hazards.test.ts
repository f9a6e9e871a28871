import { existsSync } from "node:fs";
import { join } from "node:path";
import { FULL_WORLDS } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { ROOT, read, repositoryFiles } from "../source.ts";
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

/** What checks worlds, and what strikes them. */
const simulator = repositoryFiles()
  .filter((path) => path.startsWith("scripts/sim/") && path.endsWith(".ts"))
  .map(read)
  .join("\n");

const KNOWN: Readonly<Record<string, (name: string) => boolean>> = {
  // I10 is a function that must not throw; its call is what there is of it.
  invariant: (name) =>
    name === "I10" ? simulator.includes("explainHost(") : simulator.includes(`"${name}"`),
  planted: (name) => BUGS.some((bug) => bug.name === name),
  scenario: (name) => Object.hasOwn(SCENARIOS, name),
  fault: (name) =>
    ["randomScenario", "liarPlans"].some((file) =>
      read(`scripts/sim/${file}.ts`).includes(`["${name}", `),
    ),
  exhaustive: (name) => FULL_WORLDS.some((world) => world.name === name),
};

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
