import { type Finding, faultsOf } from "./matrix.ts";
import { type Fault, type Place, planOf } from "./places.ts";

/** `kill -9` and `power cut` of a place, side by side. */
interface Row {
  readonly name: string;
  readonly killed: Finding | null;
  readonly cut: Finding | null;
}

const HEAD = [
  "where it ends, and the how many-th time",
  "kill -9",
  "power cut: later bytes kept of written",
  "same end",
  "check clean",
  "streams equal",
] as const;

/** The matrix for people: what was tried, and found. The last three columns are `kill -9/power cut`. */
export function table(findings: readonly Finding[]): string {
  const rows = [[...HEAD], ...rowsOf(findings).map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

function rowsOf(findings: readonly Finding[]): readonly Row[] {
  const sorted = findings.toSorted((a, b) => a.place.side.localeCompare(b.place.side));
  const names = [...new Set(sorted.map(({ place }) => nameOf(place)))];
  const of = (name: string, wanted: Fault): Finding | null =>
    findings.find(({ place, fault }) => nameOf(place) === name && fault === wanted) ?? null;
  return names.map((name) => ({
    name,
    killed: of(name, "kill -9"),
    cut: of(name, "power cut"),
  }));
}

const nameOf = ({ side, point, within }: Place): string =>
  `${side} ${point}${within ? ", within its commit" : ""}`;

function cells({ name, killed, cut }: Row): readonly string[] {
  const both = (say: (finding: Finding) => boolean): string =>
    [killed, cut].map((one) => (one === null ? "–" : say(one) ? "yes" : "NO")).join("/");
  return [
    name,
    killed === null ? "–" : killed.death === null ? "not reached" : nth(killed),
    cut === null ? "–" : sayCut(cut),
    both(({ death, ended }) => death !== null && ended.length === 0),
    both(({ death, unclean }) => death !== null && unclean.length === 0),
    both(({ death, streams }) => death !== null && streams.length === 0),
  ];
}

const nth = ({ place }: Finding): string => `died, ${planOf(place).split(":")[1]}.`;

function sayCut(finding: Finding): string {
  const { death } = finding;
  if (death === null) return "not reached";
  const { kept = 0, written = 0 } = death.cut ?? {};
  const unseen = death.faults.length === 0 ? " unseen" : "";
  const lines = death.lines === 1 ? "1 line lost" : `${death.lines} lines lost`;
  return `${nth(finding)} ${kept} of ${written}${death.lines > 0 ? `, ${lines}${unseen}` : ""}`;
}

export function summary(findings: readonly Finding[]): string {
  const wrong = findings.flatMap(faultsOf);
  const torn = findings.filter(({ death }) => (death?.cut?.written ?? 0) > 0).length;
  const lost = findings.reduce((sum, { death }) => sum + (death?.lines ?? 0), 0);
  return [
    `${findings.length} deaths tried; in ${torn} power cuts there were later bytes, and ${lost} lines were lost by them.`,
    ...(wrong.length === 0
      ? ["Every end is the undisturbed one, and nobody had seen what was lost."]
      : [`${wrong.length} things are not as they must be:`, ...wrong]),
  ].join("\n");
}
