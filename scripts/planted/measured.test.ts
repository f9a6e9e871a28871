import { expect, test } from "vitest";
import { read } from "../source.ts";
import { BUGS } from "./bugs.ts";
import { BLIND_HEAD, placeText } from "./table.ts";

// docs/planted.md holds what `pnpm planted --blind` has measured.

const DOC = "docs/planted.md";
const HINT = "`pnpm planted --blind --only NAME` prints the row";

const rows = read(DOC)
  .split("\n")
  .filter((line) => line.startsWith("| ") && !BLIND_HEAD.includes(line))
  .map((line) => line.split(" | ").map((cell) => cell.replaceAll(/^\| | \|$/g, "")));

test(`${DOC} names each planted bug once, in order, and none that is not planted`, () => {
  expect(
    rows.map(([name]) => name),
    HINT,
  ).toEqual(BUGS.map(({ name }) => name));
});

test("each row says what the bug is, by which of its invariants it was found, and where else", () => {
  const stale = BUGS.filter(({ name, what, tells, ground }) => {
    const [, said, by = "", , place] = rows.find(([named]) => named === name) ?? [];
    const isTold = by.split(" or ").every((each) => tells.includes(each));
    return said !== what || !isTold || place !== placeText(ground);
  });
  expect(
    stale.map(({ name }) => name),
    HINT,
  ).toEqual([]);
});

test("each row says what chance comes to", () => {
  const CHANCE =
    /^(not measured|by the first seed|after \d+ seeds|not within \d+ seeds)( with a liar)?$/;
  expect(rows.filter(([, , , chance = ""]) => !CHANCE.test(chance))).toEqual([]);
});
