import { Misuse, runCommand, wholeNumber } from "../command.ts";
import { BUGS, type Bug } from "./bugs.ts";
import { type Bounds, hunt, huntBlind, isCaught } from "./hunt.ts";
import { BLIND_HEAD, blindRow, bugsText, huntedText } from "./table.ts";

const USAGE = `pnpm planted                plants each bug, one after another, and looks for it; some minutes
pnpm planted --only NAME    one of them
pnpm planted --seeds N      at most N further seeds where chance is to find it (default 300)
pnpm planted --seconds N    at most N seconds for each (default 300)
pnpm planted --blind        how many seeds find each from the first one on, as if no place were known; rows of docs/planted.md
pnpm planted --list         what is planted
`;

/** One bug that can't be planted any more must not keep the others from being looked for. */
async function isFound(bug: Bug, bounds: Bounds): Promise<boolean> {
  try {
    const hunted = await hunt(bug, bounds);
    console.log(huntedText(hunted));
    return isCaught(hunted);
  } catch (cause) {
    console.log(`MISSED  ${bug.name}: ${cause instanceof Error ? cause.message : String(cause)}`);
    return false;
  }
}

/** A measurement: what chance does not find within the bound has a scenario. Wrong is only what fails without its bug. */
async function measure(bugs: readonly Bug[], bounds: Bounds): Promise<number> {
  let wrong = 0;
  console.log(BLIND_HEAD);
  for (const bug of bugs) {
    const hunted = await huntBlind(bug, bounds);
    console.log(blindRow(hunted));
    if (hunted.found === null || isCaught(hunted)) continue;
    console.error(huntedText(hunted));
    wrong += 1;
  }
  return wrong === 0 ? 0 : 1;
}

const PLANTED = {
  name: "planted",
  usage: USAGE,
  options: {
    only: { type: "string" },
    seeds: { type: "string", default: "300" },
    seconds: { type: "string", default: "300" },
    blind: { type: "boolean" },
    list: { type: "boolean" },
  },
} as const;

await runCommand(PLANTED, async ({ only, seeds, seconds, blind, list }) => {
  if (list === true) {
    console.log(bugsText(BUGS));
    return 0;
  }
  const bounds = {
    seedsMax: wholeNumber("seeds", seeds),
    secondsMax: wholeNumber("seconds", seconds),
  };
  const bugs = BUGS.filter(({ name }) => only === undefined || name === only);
  if (bugs.length === 0)
    throw new Misuse(`no planted bug is named "${only}". There are:\n${bugsText(BUGS)}`);
  if (blind === true) return await measure(bugs, bounds);
  let missed = 0;
  for (const bug of bugs) {
    if (!(await isFound(bug, bounds))) missed += 1;
  }
  const verdict = missed === 0 ? "each was found, and none where it was not" : `${missed} MISSED`;
  console.log(`${bugs.length} planted bugs: ${verdict}.`);
  return missed === 0 ? 0 : 1;
});
