import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT, read } from "./source.ts";

// docs/hazards.md maps each way in which systems of this kind went wrong to what prevents it here.

const DOC = "docs/hazards.md";
const LAST = 100;

interface Row {
  readonly number: number;
  readonly held: string;
  readonly where: readonly string[];
}

/** `| 7 | gaps are answered | test | packages/…/x.test.ts |`: the last column holds paths, or `issue N`. */
function rows(): readonly Row[] {
  return read(DOC)
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .filter((cells) => /^\d+$/.test(cells[1] ?? ""))
    .map((cells) => ({
      number: Number(cells[1]),
      held: cells[3] ?? "",
      where: (cells[4] ?? "").split(/,\s*/).map((place) => place.replaceAll("`", "")),
    }));
}

test(`${DOC} names each hazard from 1 to ${LAST} once`, () => {
  const numbers = rows().map((row) => row.number);
  const expected = Array.from({ length: LAST }, (_, index) => index + 1);
  expect(numbers, "add the missing row, in order").toEqual(expected);
});

test(`each hazard is held by a test, a type, or a later issue`, () => {
  const vague = rows().filter((row) => !/^(test|type|issue)$/.test(row.held));
  expect(vague, "the third column is test, type or issue").toEqual([]);
});

test("every place that the table names exists, and a test that it names mentions the number", () => {
  const broken = rows().flatMap((row) => row.where.flatMap((place) => problemsOf(row, place)));
  expect(broken).toEqual([]);
});

function problemsOf(row: Row, place: string): readonly string[] {
  if (row.held === "issue")
    return /^issue [3-9]\d*$/.test(place) ? [] : [`${row.number}: "${place}" is no later issue`];
  if (!existsSync(join(ROOT, place))) return [`${row.number}: ${place} does not exist`];
  if (row.held === "type") return [];
  const named = new RegExp(`hazards?[^\\n]*\\b${row.number}\\b`, "i").test(read(place));
  return named ? [] : [`${row.number}: ${place} does not mention hazard ${row.number}`];
}
