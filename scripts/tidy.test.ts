import { existsSync } from "node:fs";
import { basename, join, posix } from "node:path";
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
  type Source,
  walk,
} from "./source.ts";

// Style that matters is a test, and each message names the remedy. Allow-lists carry a reason per entry.

const SELF = "scripts/tidy.test.ts";
const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const LOOP_LINES_MAX = 100;

/** path → why this file may be longer. */
const LONG_FILES: Readonly<Record<string, string>> = {};

/** "path functionName" → why this function may be longer. */
const LONG_FUNCTIONS: Readonly<Record<string, string>> = {
  "packages/protocol/src/record.ts hostRolloutSchema":
    "one schema of seven variants, tied to its union; parts of it would be names for fields",
};

const BANNED_NAMES = new Set(["utils", "common", "helpers", "shared", "types", "core"]);

/** Second names of glossary terms, with the one name. Only words that mean nothing else here. */
const SECOND_NAMES: readonly (readonly [RegExp, string])[] = [
  [/control[- ]?plane[- ]server/i, "control plane, or CP"],
  [/manifest(?!o)/i, "release, head or bucket (manifest was the seed's word)"],
  [/\b(black|deny)-?list/i, "quarantine"],
  [/\bcohort/i, "wave"],
  [/\bbaking time|\bbake time/i, "soak"],
  [/\bminion|\bnode agent/i, "agent, or host"],
];

/** Which workspace may import which, tests aside. Apps never import each other. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  "packages/effects": [],
  "packages/protocol": ["@nixwave/effects"],
  "packages/testkit": ["@nixwave/effects", "@nixwave/protocol"],
  "apps/agent": ["@nixwave/effects", "@nixwave/protocol"],
  "apps/cp": ["@nixwave/effects", "@nixwave/protocol"],
  "apps/cli": ["@nixwave/effects", "@nixwave/protocol"],
  scripts: [
    "@nixwave/effects",
    "@nixwave/protocol",
    "@nixwave/testkit",
    // The simulator runs the real apps in one process.
    "@nixwave/agent",
    "@nixwave/cp",
  ],
};

/** What tests may import on top of that. effects cannot: testkit depends on it. */
const TESTS_ALSO_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "apps/agent": ["@nixwave/testkit"],
  "apps/cp": ["@nixwave/testkit"],
  "apps/cli": ["@nixwave/testkit"],
};

/** Modules that touch the world. In the agent, clock, timers, HTTP, processes and disk are ports. */
const WORLD =
  /^(node:)?(fs|child_process|https?|http2|net|tls|timers)(\/promises)?$|^undici$|^better-sqlite3$/;

/** Where in apps/agent/src the ports are implemented, and what for. */
const AGENT_ADAPTERS: Readonly<Record<string, string>> = {
  "main.ts": "puts the real ports together",
  "config.ts": "reads the configuration file, once",
  "inbound/": "turns polls, timers and unit outcomes into events",
  "perform/": "does effects",
  "activation/": "realises closures and fires switches",
  "journal/": "is the SQLite file",
  "store/": "is the SQLite file",
  "probes/": "runs health checks",
};

const files = repositoryFiles();
const sources: readonly Source[] = files
  .filter((path) => /\.(ts|mts|mjs|js)$/.test(path))
  .map((path) => parseSource(path, read(path)));
const ours = sources.filter((source) => source.path !== SELF);
const shipped = sources.filter((source) => !isTest(source.path));

test("no file or folder is a drawer", () => {
  const found = files.filter((path) =>
    path.split("/").some((part) => BANNED_NAMES.has(part.replace(/\..*$/, ""))),
  );
  expect(found, "name the thing that the file holds, and move each part to its owner").toEqual([]);
});

test("no any, no ts-ignore, no silenced tests, no anonymous TODO", () => {
  const found = ours.flatMap((source) => [
    ...nodesOf(source, "TSAnyKeyword").map((node) =>
      at(source, node, "`any`: use unknown and parse it, or name the type"),
    ),
    ...nodesOf(source, "CallExpression")
      .filter((node) => isSilencedTest(source.text, node))
      .map((node) => at(source, node, "skip/only: run it, mend it or delete it (skipIf is fine)")),
    ...source.comments.flatMap(({ text, line }) =>
      commentFaults(text).map((fault) => `${source.path}:${line} ${fault}`),
    ),
  ]);
  expect(found).toEqual([]);
});

test("one name per thing", () => {
  const found = ours.flatMap((source) =>
    SECOND_NAMES.flatMap(([word, remedy]) => {
      const hit = word.exec(source.text);
      if (hit === null) return [];
      return [`${source.path}:${lineAt(source.text, hit.index)} "${hit[0]}": say ${remedy}`];
    }),
  );
  expect(found, "docs/glossary.md has one name per thing; use it, or change it there").toEqual([]);
});

test("files and functions are short", () => {
  const longFiles = shipped
    .filter(({ path, text }) => lineCount(text) > FILE_LINES_MAX && !(path in LONG_FILES))
    .map(({ path, text }) => `${path}: ${lineCount(text)} lines, at most ${FILE_LINES_MAX}`);
  const longFunctions = shipped.flatMap(longFunctionsOf);
  expect([...longFiles, ...longFunctions], "split by noun, or add a reason to LONG_…").toEqual([]);
});

test("loops only connect", () => {
  const found = shipped
    .filter(({ path }) => /^apps\/\w+\/src\/loop\.ts$/.test(path))
    .filter(({ text }) => lineCount(text) >= LOOP_LINES_MAX)
    .map(({ path, text }) => `${path}: ${lineCount(text)} lines`);
  expect(found, `a loop has under ${LOOP_LINES_MAX}: move work to inbound/ or perform/`).toEqual(
    [],
  );
});

test("packages have one door and no barrels inside", () => {
  const found = ours.flatMap((source) => {
    const home = workspaceOf(source.path);
    if (home === undefined) return [];
    const faults = source.imports.flatMap(({ from, line }) =>
      importFaults(source.path, home, from).map((fault) => `${source.path}:${line} ${fault}`),
    );
    return isInnerBarrel(source, home)
      ? [...faults, `${source.path} is a barrel: import from the files themselves`]
      : faults;
  });
  expect(found).toEqual([]);
});

test("package.json follows the import arrows, and effects depends on nothing", () => {
  const found = Object.entries(ARROWS).flatMap(([home, arrows]) => {
    const dependencies = dependenciesOf(home);
    if (home === "packages/effects")
      return dependencies.map((name) => `${home} depends on ${name}: effects depends on nothing`);
    return dependencies
      .filter((name) => name.startsWith("@nixwave/") && !arrows.includes(name))
      .map((name) => `${home} depends on ${name}: allowed are ${arrows.join(", ")}`);
  });
  expect(found, "move the code to the package that may have it: ARCHITECTURE.md").toEqual([]);
});

test("in the agent, only adapters touch the world", () => {
  const folder = "apps/agent/src/";
  const found = shipped
    .filter(({ path }) => path.startsWith(folder))
    .filter(({ path }) => {
      const inside = path.slice(folder.length);
      return !Object.keys(AGENT_ADAPTERS).some((place) =>
        place.endsWith("/") ? inside.startsWith(place) : inside === place,
      );
    })
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ from }) => WORLD.test(from))
        .map(({ from, line }) => `${path}:${line} imports ${from}`),
    );
  expect(found, "take it as a port from main.ts, or move it to inbound/ or perform/").toEqual([]);
});

test("nothing committed knows the machine that it was written on", () => {
  const found = files
    .filter((path) => path !== SELF)
    .flatMap((path) => {
      const text = read(path);
      const hit = /(?<![\w./$})-])\/(work|root)\/|registry\.(npmjs|yarnpkg)\.\w+/.exec(text);
      return hit === null ? [] : [`${path}:${lineAt(text, hit.index)} ${hit[0]}`];
    });
  expect(found, "use a relative path, a temporary folder or a setting").toEqual([]);
});

test("the lockfile says what, not where from", () => {
  const found = read("pnpm-lock.yaml")
    .split("\n")
    .filter((line) => /https?:\/\/|tarball:/.test(line));
  expect(found, "reinstall with npm's default registry settings").toEqual([]);
});

/** Documents whose tables must name every kind of a union, once the document exists. */
const DOCUMENTED: readonly (readonly [string, string])[] = [
  ["docs/state-machine.md", "packages/effects/src/host/state.ts"],
  ["docs/state-machine.md", "packages/effects/src/event.ts"],
  ["docs/state-machine.md", "packages/effects/src/effect.ts"],
];

for (const [doc, union] of DOCUMENTED) {
  test.skipIf(!existsSync(join(ROOT, doc)))(`${doc} names every kind of ${union}`, () => {
    const kinds = kindsOf(read(union));
    expect(kinds, `no \`kind: "…"\` found in ${union}: mend kindsOf`).not.toEqual([]);
    const text = read(doc);
    const missing = kinds.filter((kind) => !new RegExp(`\\b${kind}\\b`).test(text));
    expect(missing, `add a row for each to ${doc}`).toEqual([]);
  });
}

test("allow-lists hold only what still needs them", () => {
  const stale = Object.keys(LONG_FILES).filter(
    (path) => !files.includes(path) || lineCount(read(path)) <= FILE_LINES_MAX,
  );
  const long = new Set(shipped.flatMap(functionLengths).map(({ name }) => name));
  const staleFunctions = Object.keys(LONG_FUNCTIONS).filter((name) => !long.has(name));
  expect([...stale, ...staleFunctions], "remove the entry").toEqual([]);
});

function nodesOf(source: Source, type: string): readonly Node[] {
  const found: Node[] = [];
  walk(source.program, (node) => {
    if (node.type === type) found.push(node);
  });
  return found;
}

function at(source: Source, node: Node, message: string): string {
  return `${source.path}:${lineAt(source.text, node.start)} ${message}`;
}

function isSilencedTest(text: string, call: Node): boolean {
  const callee = call["callee"];
  if (!isNode(callee)) return false;
  return /^(test|it|describe|suite)(\.\w+)*\.(skip|only)$/.test(
    text.slice(callee.start, callee.end),
  );
}

function commentFaults(comment: string): readonly string[] {
  const faults: string[] = [];
  if (/@ts-(ignore|nocheck)/.test(comment)) faults.push("use @ts-expect-error, with the reason");
  if (/\b(TODO|FIXME|XXX)\b(?!\(#\d+\))/.test(comment))
    faults.push("write TODO(#issue), or do it now");
  return faults;
}

function lineCount(text: string): number {
  return text.trimEnd().split("\n").length;
}

function longFunctionsOf(source: Source): readonly string[] {
  return functionLengths(source)
    .filter(({ name }) => !(name in LONG_FUNCTIONS))
    .map(({ name, lines }) => `${name}: ${lines} lines, at most ${FUNCTION_LINES_MAX}`);
}

/** The functions of a file that are too long, named "path functionName". */
function functionLengths(source: Source): readonly { name: string; lines: number }[] {
  const found: { name: string; lines: number }[] = [];
  walk(source.program, (node, parent) => {
    if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type))
      return;
    const lines = lineCount(source.text.slice(node.start, node.end));
    if (lines <= FUNCTION_LINES_MAX) return;
    const named = node["id"] ?? parent?.["id"] ?? parent?.["key"];
    const name = isNode(named) ? String(named["name"]) : "(anonymous)";
    found.push({ name: `${source.path} ${name}`, lines });
  });
  return found;
}

function workspaceOf(path: string): string | undefined {
  return Object.keys(ARROWS).find((home) => path.startsWith(`${home}/`));
}

/** What tests of several programs share: the attacks, and what is near to a good input. Never published, and only tests may see it. */
const SHARED_FIXTURES = ["@nixwave/protocol/attacks.fixture", "@nixwave/protocol/fuzz.fixture"];

function importFaults(path: string, home: string, from: string): readonly string[] {
  if (from.startsWith(".")) {
    const target = posix.join(posix.dirname(path), from);
    if (target.startsWith(`${home}/`)) return [];
    return [`${from} leaves ${home}: import the package by its name`];
  }
  if (!from.startsWith("@nixwave/")) return [];
  if (isTest(path) && SHARED_FIXTURES.includes(from)) return [];
  if (from.split("/").length > 2) {
    return [`${from}: a package has one door, its src/index.ts`];
  }
  const allowed = [
    ...(ARROWS[home] ?? []),
    ...(isTest(path) ? (TESTS_ALSO_IMPORT[home] ?? []) : []),
  ];
  if (allowed.includes(from)) return [];
  return [`${home} may not import ${from}: allowed are ${allowed.join(", ") || "none"}`];
}

function isInnerBarrel(source: Source, home: string): boolean {
  if (source.path === `${home}/src/index.ts` || source.path === `${home}/src/door.ts`) return false;
  if (basename(source.path) === "index.ts") return true;
  const body = source.program["body"];
  if (!Array.isArray(body)) return false;
  const statements = body.filter(isNode);
  return (
    statements.length > 0 &&
    statements.every(({ type, source: from }) => /^Export(All|Named)/.test(type) && isNode(from))
  );
}

function dependenciesOf(home: string): readonly string[] {
  const manifest: unknown = JSON.parse(read(`${home}/package.json`));
  return ["dependencies", "peerDependencies", "optionalDependencies"].flatMap((field) => {
    const table: unknown =
      typeof manifest === "object" && manifest !== null && Reflect.get(manifest, field);
    return typeof table === "object" && table !== null ? Object.keys(table) : [];
  });
}

function kindsOf(text: string): readonly string[] {
  const kinds = [...text.matchAll(/\bkind\s*:\s*"([A-Z]\w*)"/g)].map(([, kind]) => kind ?? "");
  return [...new Set(kinds)];
}
