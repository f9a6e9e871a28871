import type { Bug, Ground } from "./bugs.ts";
import { type Hunted, isCaught } from "./hunt.ts";

const DETAIL_MAX = 140;
const NAME_WIDTH = 28;

export const placeText = (ground: Ground): string => {
  switch (ground.kind) {
    case "seed":
    case "liars":
      return `seed ${ground.seed}`;
    case "scenario":
      return `scenario ${ground.name}`;
    case "exhaustive":
      return `exhaustive ${ground.name}`;
  }
};

/** One bug: by which invariant, where, after how many worlds; and a line of evidence. */
export function huntedText(hunted: Hunted): string {
  const { bug, found, tried, sound, seconds } = hunted;
  const head = `${isCaught(hunted) ? "found" : "MISSED"}  ${bug.name.padEnd(NAME_WIDTH)}`;
  const took = `${seconds.toFixed(0)} s`;
  if (found === null) return `${head}nowhere within the bound, ${took}\n        ${bug.what}`;
  const { ground, invariant, detail } = found;
  const worlds = tried === 1 ? "at once" : `after ${tried} worlds`;
  const lines = [
    `${head}by ${invariant} in ${placeText(ground)}, ${worlds}, ${took}`,
    `        ${bug.what}`,
    `        ${oneLine(detail)}`,
  ];
  if (!bug.tells.includes(invariant))
    lines.push(`        expected to be told by ${bug.tells.join(" or ")}`);
  if (sound !== null)
    lines.push(`        and without it: ${sound.invariant}: ${oneLine(sound.detail)}`);
  return lines.join("\n");
}

export const BLIND_HEAD = `| name | what | by | found by chance | known place |
|---|---|---|---|---|`;

/** One bug that was looked for blindly, as a row of docs/planted.md. */
export function blindRow({ bug, found, tried }: Hunted): string {
  const { name, what, tells, ground } = bug;
  const seeds = tried === 1 ? "by the first seed" : `after ${tried} seeds`;
  const chance = found === null ? `not within ${tried} seeds` : seeds;
  const worlds = ground.kind === "liars" ? " with a liar" : "";
  const by = found?.invariant ?? tells.join(" or ");
  return `| ${name} | ${what} | ${by} | ${chance}${worlds} | ${placeText(ground)} |`;
}

const oneLine = (text: string): string => {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= DETAIL_MAX ? line : `${line.slice(0, DETAIL_MAX)}…`;
};

export const bugsText = (bugs: readonly Bug[]): string =>
  bugs.map(({ name, what }) => `  ${name.padEnd(NAME_WIDTH)}${what}`).join("\n");
