import { expect, test } from "vitest";
import { deferredComponent, lastBytes, stderrTail } from "./output.ts";

test.each([
  ["", 3, ""],
  ["abc", 3, "abc"],
  ["abcd", 3, "bcd"],
  ["äöü", 3, "ü"],
  ["äöü", 4, "öü"],
  ["a😀", 3, ""],
  ["a😀", 4, "😀"],
])("the last bytes of %s, %d at most, are %s", (text, bytesMax, expected) => {
  expect(lastBytes(text, bytesMax)).toBe(expected);
});

test("what an event carries is 4 KiB of UTF-8 at most, and its end", () => {
  const tail = stderrTail(`${"ü".repeat(5000)} the end\n\n`);
  expect(new TextEncoder().encode(tail).length).toBeLessThanOrEqual(4096);
  expect(tail.endsWith("the end")).toBe(true);
});

test("the component is the last one that a line of its own names", () => {
  expect(deferredComponent("component: dbus\ncomponent: kernel\ndone\n")).toBe("kernel");
  expect(deferredComponent("a component: kernel\n")).toBe("system");
});
