import { readFileSync, writeFileSync } from "node:fs";

/**
 * A scenario as text: blocks of commands, a line of four dashes, what came out; a blank line ends a block. Comments
 * begin with `#`. The same files run against the bare reducers and against a whole simulated fleet.
 */
export interface Command {
  readonly name: string;
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  readonly line: number;
}

/** Runs one command and returns the lines that it printed. */
export type Runner = (command: Command) => readonly string[];

interface Block {
  readonly head: readonly string[];
  readonly commands: readonly Command[];
}

const SEPARATOR = "----";

function parseCommand(text: string, line: number): Command {
  const [name = "", ...rest] = text.trim().split(/\s+/);
  const words: string[] = [];
  const options = new Map<string, string>();
  for (const part of rest) {
    const at = part.indexOf("=");
    if (at > 0) options.set(part.slice(0, at), part.slice(at + 1));
    else words.push(part);
  }
  return { name, words, options, line };
}

function parseBlocks(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let head: string[] = [];
  let commands: Command[] = [];
  let inOutput = false;
  const end = () => {
    if (head.length > 0) blocks.push({ head, commands });
    head = [];
    commands = [];
    inOutput = false;
  };
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") end();
    else if (line === SEPARATOR) inOutput = true;
    else if (!inOutput) {
      head.push(line);
      if (!line.startsWith("#")) commands.push(parseCommand(line, index + 1));
    }
  }
  end();
  return blocks;
}

/** The whole file as it comes out when its commands are run; a block of comments alone has no output. */
export function replay(text: string, run: Runner): string {
  const rendered = parseBlocks(text).map(({ head, commands }) => {
    if (commands.length === 0) return head.join("\n");
    const output = commands.flatMap((command) => run(command));
    return [...head, SEPARATOR, ...(output.length > 0 ? output : ["ok"])].join("\n");
  });
  return `${rendered.join("\n\n")}\n`;
}

/** Compares a transcript with its replay; with UPDATE=1 in the environment it is rewritten instead, to be reviewed line by line. */
export function checkTranscript(
  path: string,
  run: Runner,
): { readonly expected: string; readonly actual: string } {
  const expected = readFileSync(path, "utf8");
  const actual = replay(expected, run);
  if (process.env["UPDATE"] === "1" && actual !== expected) {
    writeFileSync(path, actual);
    return { expected: actual, actual };
  }
  return { expected, actual };
}
