import { readFileSync } from "node:fs";
import { instant } from "@nixwave/effects";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readFleet } from "./fleet.ts";
import { formatFinding, readPlaced } from "./placed.ts";
import type { WrittenRelease } from "./releaseFiles.ts";
import { resolve } from "./resolve.ts";

const ABOUT = { revision: null, createdAt: instant(1_795_525_200_000), createdBy: "ci", note: "" };
const HASH = "0".repeat(32);
const expand = (text: string) => text.replace(/%([a-z0-9-]+)/g, `${HASH}-$1`);
const shorten = (text: string) => text.replaceAll(`${HASH}-`, "%");

function say(declaration: string): string {
  const fleet = readFleet({ file: "fleet.yaml", text: expand(declaration) });
  const resolved = fleet.ok ? resolve(fleet.value, ABOUT) : fleet;
  if (!resolved.ok) return resolved.error.map(formatFinding).join("\n");
  const warnings = resolved.value.warnings.map((each) => `warning: ${formatFinding(each)}`);
  return [...resolved.value.releases.map(show), ...warnings].join("\n");
}

function show({ release }: WrittenRelease): string {
  const { channel, waves, policy, hosts, budgets, edges, channelEdges } = release;
  return [
    `release of ${channel}`,
    ...waves.flatMap(({ index, soakSecs, description }) => [
      `  wave ${index} soaks ${soakSecs} s ${description}`.trimEnd(),
      ...hosts
        .filter(({ wave }) => wave === index)
        .map(
          ({ host, system, closure, tags }) =>
            `    ${host} ${system} ${closure} [${tags.join(" ")}]`,
        ),
    ]),
    ...budgets.map(
      (budget) => `  budget ${budget.name}: ${budget.maxInFlight} of ${budget.hosts.join(" ")}`,
    ),
    ...edges.map(({ gates, gated, reason }) => `  ${gates} before ${gated}: ${reason}`),
    ...channelEdges.map(
      ({ gates, gated, reason }) => `  channel ${gates} before ${gated}: ${reason}`,
    ),
    `  policy ${Object.entries(policy)
      .map(([key, value]) => `${key}=${value}`)
      .join(" ")}`,
  ].join("\n");
}

/** Cases begin with `## title`; what stands below `----` is written anew from what stands above it. */
function rewrite(transcript: string): string {
  const [preface = "", ...cases] = transcript.split(/^(?=## )/m);
  return (
    preface +
    cases
      .map((text) => {
        const [above = ""] = text.split(/^----$/m);
        const declaration = above.slice(above.indexOf("\n") + 1);
        return `${above}----\n${shorten(say(declaration))}\n`;
      })
      .join("\n")
  );
}

test.each(["refused", "resolved"])("transcript %s (hazards 25 and 28)", async (name) => {
  const path = new URL(`testdata/${name}.txt`, import.meta.url).pathname;
  await expect(rewrite(readFileSync(path, "utf8"))).toMatchFileSnapshot(path);
});

const GOOD = expand(`
schemaVersion: 1
hosts:
  web-1: {system: x86_64-linux, channel: stable, closure: %web-1, tags: [web]}
  db-1: {system: x86_64-linux, channel: stable, closure: %db-1}
channels: {stable: {waves: [{select: {tags: [web]}}, {select: {not: {tags: [web]}}}]}}
budgets: [{name: web, select: {all: true}, maxInFlight: 25%}]
edges: [{gates: web-1, gated: db-1, reason: r}]
`);

const judge = (text: string) => {
  expect(typeof readPlaced({ file: "fleet.yaml", text }).ok).toBe("boolean");
  const read = readFleet({ file: "fleet.yaml", text });
  const findings = read.ok ? resolve(read.value, ABOUT) : read;
  if (findings.ok) return;
  expect(findings.error.length).toBeGreaterThan(0);
  for (const { line, sentence } of findings.error) {
    expect(sentence).not.toBe("");
    if (line !== null) expect(line).toBeGreaterThan(0);
  }
};

test("whatever a declaration says, it is refused in sentences and never throws", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), judge));
  fc.assert(fc.property(fc.jsonValue(), (value) => judge(JSON.stringify(value))));
  const changes = fc.tuple(fc.nat(GOOD.length), fc.nat(40), fc.string({ maxLength: 8 }));
  fc.assert(
    fc.property(changes, ([at, cut, put]) => judge(GOOD.slice(0, at) + put + GOOD.slice(at + cut))),
    { numRuns: 400 },
  );
});

test.each([
  ["nesting", "[".repeat(50_000)],
  ["a key that would vanish", `${GOOD}\n__proto__: {}`],
  [
    "aliases that multiply",
    "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]",
  ],
  ["two documents", `${GOOD}\n---\n${GOOD}`],
  ["nothing", ""],
  ["an unknown tag", `${GOOD}\nx: !!js/function 1`],
])("%s is refused", (_, text) => {
  expect(readFleet({ file: "fleet.yaml", text })).toMatchObject({ ok: false });
  judge(text);
});

test("the order of the file makes no difference to the bytes of a release", () => {
  const refs = (text: string) => {
    const read = readFleet({ file: "fleet.yaml", text });
    const resolved = read.ok ? resolve(read.value, ABOUT) : read;
    return resolved.ok ? resolved.value.releases.map(({ release }) => release.ref) : resolved.error;
  };
  const lines = GOOD.split("\n");
  const swapped = lines.map((line, at) =>
    at === 3 ? (lines[4] ?? "") : at === 4 ? (lines[3] ?? "") : line,
  );
  expect(refs(swapped.join("\n"))).toEqual(refs(GOOD));
  expect(refs(GOOD)).toHaveLength(1);
});
