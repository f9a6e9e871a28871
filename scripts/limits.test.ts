import { expect, test } from "vitest";
import { read } from "./source.ts";

// docs/limits.md says what the control plane takes; here it is asked whether the code says the same.

const DOC = "docs/limits.md";

const rows = read(DOC)
  .split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .filter((cells) => cells.length === 7 && /^(?:[A-Z_]+|-)$/.test(cells[4] ?? ""))
  .map(([, what = "", limit = "", , constant = "", file = ""]) => ({
    what,
    limit,
    constant,
    file,
  }));

/** `16_384` and `16384` are one number. */
const numbersIn = (text: string): readonly string[] => text.replaceAll("_", "").match(/\d+/g) ?? [];

test(`${DOC} names the limits of the code, with their values`, () => {
  expect(rows.length).toBeGreaterThan(20);
  const wrong = rows.flatMap(({ what, limit, constant, file }) => {
    const source = read(file);
    if (constant === "-") return [];
    const declared = new RegExp(`const ${constant} = ([^;]+);`).exec(source)?.[1];
    if (declared === undefined) return [`${what}: ${file} has no ${constant}`];
    const missing = numbersIn(limit).filter((each) => !numbersIn(declared).includes(each));
    return missing.length === 0 ? [] : [`${what}: ${limit}, and ${constant} is ${declared}`];
  });
  expect(wrong, `correct ${DOC}`).toEqual([]);
});
