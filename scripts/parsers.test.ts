import { expect, test } from "vitest";
import { isTest, read, repositoryFiles } from "./source.ts";

// docs/parsers.md maps whatever reads input from outside to the fuzz test that it has; here the sources are asked for more.

const DOC = "docs/parsers.md";

/** How this code reads what it did not write itself. */
const READS = /JSON\.parse\(|\.safeParse\(|parseDocument\(|createGunzip\(|createZstdDecompress\(/;
const SOURCES = /^(?:apps\/[^/]+|packages\/protocol)\/src\/.*\.ts$/;

const rows = read(DOC)
  .split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .filter((cells) => cells.length === 6 && SOURCES.test(cells[1] ?? ""))
  .map(([, file = "", , by = "", test = ""]) => ({ file, by, test }));
const listed = new Set(rows.map(({ file }) => file));

test("every parser is in the table", () => {
  const parsers = repositoryFiles().filter(
    (path) => SOURCES.test(path) && !isTest(path) && READS.test(read(path)),
  );
  expect(parsers.length).toBeGreaterThan(30);
  const missing = parsers.filter((path) => !listed.has(path));
  expect(missing, `write its fuzz test, and a row in ${DOC}`).toEqual([]);
});

test("every row has a fuzz test that calls the parser, or says that it reads its own records", () => {
  const wrong = rows.flatMap(({ file, by, test }) => {
    if (by === "own") return test === "-" ? [] : [`${file}: own records have no fuzz test`];
    const named = new RegExp(`\\b${by}\\b`);
    if (!named.test(read(file))) return [`${file} has no ${by}`];
    const text = read(test);
    const isFuzz = text.includes('from "fast-check"') && /fc\.assert\(/.test(text);
    return isFuzz && named.test(text) ? [] : [`${test} does not fuzz ${by} of ${file}`];
  });
  expect(wrong).toEqual([]);
});
