import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import {
  isNode,
  isTest,
  lineAt,
  type Node,
  parseSource,
  ROOT,
  read,
  repositoryFiles,
  walk,
} from "./source.ts";

// Nothing in packages/effects may know the time, chance or the world: a reducer is only worth replaying if it is pure.

const EFFECTS = "packages/effects/src/";

/** Globals that are not values: each comes in as a parameter, or the work belongs to an app. */
const IMPURE = new Set([
  "Date",
  "process",
  "console",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "fetch",
  "crypto",
  "performance",
  "globalThis",
  "eval",
  "require",
]);

/** What the compiler itself refuses, under the tsconfig of effects. One statement per line of the probe. */
const REFUSED_BY_COMPILER = [
  "console.log(1);",
  'void fetch("/");',
  "process.exit(1);",
  "setTimeout(() => {}, 1);",
  "setInterval(() => {}, 1);",
  "crypto.randomUUID();",
  "performance.now();",
  'await import("node:fs");',
];

const sources = repositoryFiles()
  .filter((path) => path.startsWith(EFFECTS) && path.endsWith(".ts") && !isTest(path))
  .map((path) => parseSource(path, read(path)));

test("effects has sources to look at", () => {
  expect(sources.length).toBeGreaterThan(0);
});

test("effects imports only its own files", () => {
  const found = sources.flatMap(({ path, imports }) =>
    imports
      .filter(({ from }) => !staysInside(path, from))
      .map(({ from, line }) => `${path}:${line} imports ${from}`),
  );
  expect(found, "effects imports nothing: take it as a value, or move the code out").toEqual([]);
});

test("effects mentions neither clock nor chance nor the world", () => {
  const found = sources.flatMap(({ path, text, program }) => {
    const faults: string[] = [];
    walk(program, (node, parent) => {
      const name = impurity(node, parent);
      if (name !== undefined) faults.push(`${path}:${lineAt(text, node.start)} ${name}`);
    });
    return faults;
  });
  expect(found, "take `now`, ids and randomness as parameters; leave doing to an app").toEqual([]);
});

test("the compiler refuses the world under the tsconfig of effects", async () => {
  // Inside node_modules of effects, so that modules resolve as they do for its sources.
  const parent = join(ROOT, "packages/effects/node_modules");
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, ".purity-"));
  try {
    writeFileSync(join(folder, "probe.ts"), `${REFUSED_BY_COMPILER.join("\n")}\nexport {};\n`);
    writeFileSync(join(folder, "control.ts"), "export const one: number = Math.max(1, 0);\n");
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: "../../tsconfig.json",
        include: [],
        files: ["probe.ts", "control.ts"],
      }),
    );
    const output = await compile(folder);
    const refused = REFUSED_BY_COMPILER.filter((_, index) =>
      output.includes(`probe.ts(${index + 1},`),
    );
    expect(refused, `tsc said:\n${output}`).toEqual(REFUSED_BY_COMPILER);
    expect(output, "the harmless control file must compile").not.toContain("control.ts");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function staysInside(path: string, from: string): boolean {
  return from.startsWith(".") && posix.join(posix.dirname(path), from).startsWith(EFFECTS);
}

/** The impure name that node mentions, if it does: `Math.random`, or a global that is not just a property's name. */
function impurity(node: Node, parent: Node | undefined): string | undefined {
  if (node.type === "MemberExpression") {
    const { object, property } = node;
    if (isNode(object) && object["name"] === "Math" && isNode(property)) {
      if (property["name"] === "random" || property["value"] === "random") return "Math.random";
    }
    return undefined;
  }
  const name = node["name"];
  if (node.type !== "Identifier" || typeof name !== "string" || !IMPURE.has(name)) return undefined;
  return isPropertyName(node, parent) ? undefined : name;
}

function isPropertyName(node: Node, parent: Node | undefined): boolean {
  if (parent === undefined || parent["computed"] === true || parent["shorthand"] === true)
    return false;
  return (
    parent["key"] === node || (parent.type === "MemberExpression" && parent["property"] === node)
  );
}

async function compile(folder: string): Promise<string> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const args = [tsc, "--noEmit", "--pretty", "false", "-p", folder];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
    return stdout;
  } catch (error) {
    // tsc prints its findings on stdout and exits with 1 or 2.
    if (error instanceof Error && "stdout" in error) return String(error.stdout);
    throw error;
  }
}
