import { expect, test } from "vitest";
import { harmless, paint, widthOf } from "./style.ts";
import { fields, table } from "./table.ts";

const COLOURED = { colour: true, columns: 80, timeZone: "UTC" };
const PLAIN = { ...COLOURED, colour: false };

test("columns are as wide as their widest cell, whatever its colour", () => {
  const rows = [
    ["web-1", paint(COLOURED, "good", "█ converged"), "1"],
    ["a", "·", "1000"],
  ];
  const lines = table(
    COLOURED,
    [{ title: "HOST" }, { title: "STATE" }, { title: "FOR", align: "right" }],
    rows,
  );
  expect(lines.map(widthOf)).toEqual([24, 24, 24]);
  expect(
    table(
      PLAIN,
      [{ title: "" }, { title: "" }],
      [
        ["a", ""],
        ["bb", "c"],
      ],
    ),
  ).toEqual(["a", "bb  c"]);
});

test("fields line up under their headline", () => {
  expect(
    fields(PLAIN, [
      ["gate", "wave"],
      ["evidence", "x"],
      ["", "y"],
    ]),
  ).toEqual(["  gate      wave", "  evidence  x", "            y"]);
});

test("what came from outside can't move the cursor", () => {
  expect(harmless("a\u001B[2Jb\r\nc")).toBe("a·[2Jb·c");
});
