import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSync } from "oxc-parser";

/** The repository's root. Every path in scripts/ is relative to it. */
export const ROOT = dirname(import.meta.dirname);

/** A syntax tree node, as much of it as the tests look at. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: Node;
  readonly comments: readonly { readonly text: string; readonly line: number }[];
  /** Every specifier that is imported or re-exported, statically or by a literal import(). */
  readonly imports: readonly { readonly from: string; readonly line: number }[];
}

/** What git has, or would have after `git add .`: ignored files are nobody's style. */
export function repositoryFiles(): readonly string[] {
  const listing = execFileSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    { cwd: ROOT, encoding: "utf8" },
  );
  const paths = listing.split("\0").filter((path) => path !== "" && existsSync(join(ROOT, path)));
  return [...new Set(paths)].sort();
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.endsWith(".fixture.ts");
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

export function parseSource(path: string, text: string): Source {
  const parsed = parseSync(path, text, { sourceType: "module" });
  const broken = parsed.errors[0];
  if (broken !== undefined) throw new Error(`${path} does not parse: ${broken.message}`);
  // The parser's own node types are a closed union; a walk only needs the open shape.
  const program = parsed.program as unknown as Node;
  return {
    path,
    text,
    program,
    comments: parsed.comments.map((comment) => ({
      text: comment.value,
      line: lineAt(text, comment.start),
    })),
    imports: importsOf(program, text),
  };
}

/** Calls visit on node and all below it, parents first. */
export function walk(
  node: Node,
  visit: (node: Node, parent: Node | undefined) => void,
  parent?: Node,
): void {
  visit(node, parent);
  for (const child of childrenOf(node)) walk(child, visit, node);
}

function childrenOf(node: Node): readonly Node[] {
  return Object.values(node)
    .flatMap((value: unknown) => (Array.isArray(value) ? (value as unknown[]) : [value]))
    .filter(isNode);
}

export function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

function importsOf(program: Node, text: string): Source["imports"] {
  const found: { from: string; line: number }[] = [];
  walk(program, (node) => {
    const isImport = /^(Import|Export(All|Named))(Declaration|Expression)$|^TSImportType$/;
    if (!isImport.test(node.type) || !isNode(node["source"])) return;
    const from = node["source"]["value"];
    if (typeof from === "string") found.push({ from, line: lineAt(text, node.start) });
  });
  return found;
}
