import { BATCH_LINES_MAX, LINE_BYTES_MAX } from "@nixwave/protocol";
import { expect, it } from "vitest";
import { cutLines } from "./lines.ts";

const cut = (text: string) => {
  const lines = cutLines(text);
  return lines.ok ? lines.value : lines.error.detail;
};

it("keeps each line as it came and skips empty ones, with or without a last newline", () => {
  expect(cut('{"a":1}\n\n{"ü": 2} \n')).toEqual(['{"a":1}', '{"ü": 2} ']);
  expect(cut("a\nb")).toEqual(["a", "b"]);
  expect(cut("")).toEqual([]);
});

it("takes what is at the limits and refuses what is beyond, counted in bytes", () => {
  expect(cut("x".repeat(LINE_BYTES_MAX))).toHaveLength(1);
  expect(cut(`a\n${"ü".repeat(LINE_BYTES_MAX / 2 + 1)}`)).toBe(
    `Line 2 of the body has ${LINE_BYTES_MAX + 2} bytes; a line may have ${LINE_BYTES_MAX}. Shorten the event.`,
  );
  expect(cut("a\n".repeat(BATCH_LINES_MAX))).toHaveLength(BATCH_LINES_MAX);
  expect(cut("a\n".repeat(BATCH_LINES_MAX + 1))).toContain(`a batch may have ${BATCH_LINES_MAX}`);
});
