import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Console } from "./console.fixture.ts";
import { GATES } from "./gates.ts";

// Each file in testdata/ is a story: commands, a line of dashes, and what came of them. UPDATE=1 rewrites the answers;
// never accept one that you cannot explain.

const FOLDER = join(import.meta.dirname, "testdata");
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));
const RULE = "----";

/** Blocks are separated by an empty line; everything after the rule is an answer, and is written anew. */
function replay(text: string): string {
  const console = new Console();
  const blocks = text.trimEnd().split("\n\n");
  return `${blocks.map((block) => answered(block, console)).join("\n\n")}\n`;
}

function answered(block: string, console: Console): string {
  const lines = block.split("\n");
  const rule = lines.indexOf(RULE);
  const commands = rule === -1 ? lines : lines.slice(0, rule);
  const said = commands
    .filter((line) => !line.startsWith("#"))
    .flatMap((line) => console.run(line));
  const isNote = commands.every((line) => line.startsWith("#"));
  return [...commands, ...(isNote ? [] : [RULE, ...said])].join("\n");
}

describe("a transcript", () => {
  test.each(FILES)("%s is what happens", (name) => {
    const path = join(FOLDER, name);
    const text = readFileSync(path, "utf8");
    const now = replay(text);
    if (process.env["UPDATE"] !== undefined) writeFileSync(path, now);
    expect(process.env["UPDATE"] === undefined ? text : now).toBe(now);
  });

  test("each gate is seen to hold a host, and something opens it again", () => {
    const all = FILES.map((name) => readFileSync(join(FOLDER, name), "utf8")).join("\n");
    const unseen = GATES.filter(({ name }) => !all.includes(` ${name}: `));
    expect(unseen.map(({ name }) => name)).toEqual([]);
    expect(readdirSync(FOLDER)).toEqual(
      expect.arrayContaining(GATES.map(({ name }) => `gate-${name}.txt`)),
    );
  });
});
