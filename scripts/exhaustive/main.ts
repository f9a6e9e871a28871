import {
  coverageOf,
  coverageText,
  FULL_WORLDS,
  foundText,
  Search,
  type Watch,
} from "@nixwave/testkit";
import { Misuse, runCommand, wholeNumber } from "../command.ts";

const USAGE = `pnpm exhaustive                   every interleaving of small worlds, to closure; a few minutes
pnpm exhaustive --only TEXT       the worlds whose name contains TEXT; says nothing of the tables' cells
pnpm exhaustive --seconds N       at most N seconds for each world (default 300)
pnpm exhaustive --states N        at most N states for each world (default 6000000)
`;

const PROGRESS_MS = 5000;
const now = () => performance.now();
const say = (text: string) => process.stdout.write(`${text}\n`);

const EXHAUSTIVE = {
  name: "exhaustive",
  usage: USAGE,
  options: {
    only: { type: "string" },
    seconds: { type: "string", default: "300" },
    states: { type: "string", default: "6,000,000" },
  },
} as const;

interface Asked {
  readonly worlds: typeof FULL_WORLDS;
  readonly bounds: { readonly statesMax: number; readonly secondsMax: number };
  /** All of the worlds: only then a cell that none of them reached says something. */
  readonly isWhole: boolean;
}

function searchAll({ worlds, bounds, isWhole }: Asked): number {
  const began = now();
  const watches: Watch[] = [];
  let states = 0;
  let bad = 0;
  for (const world of worlds) {
    let saidAt = now();
    const found = new Search(world).run(
      {
        ...bounds,
        onProgress: (so) => {
          if (now() - saidAt < PROGRESS_MS) return;
          saidAt = now();
          say(`  … ${so.states.toLocaleString("en")} states, depth ${so.depth}`);
        },
      },
      now,
    );
    say(foundText(found));
    states += found.states;
    watches.push(found.watch);
    const isDone = found.end === "closure" || found.end === "depth";
    if (!isDone) bad += 1;
  }
  if (isWhole) {
    const coverage = coverageOf(watches);
    say(coverageText(coverage));
    bad += coverage.unreached.length + coverage.stale.length;
  }
  const seconds = ((now() - began) / 1000).toFixed(0);
  const verdict = bad === 0 ? "Nothing was broken" : `${bad} things are wrong`;
  say(`${verdict}: ${worlds.length} worlds, ${states.toLocaleString("en")} states, ${seconds} s.`);
  return bad === 0 ? 0 : 1;
}

await runCommand(EXHAUSTIVE, ({ only, seconds, states }) => {
  const worlds = FULL_WORLDS.filter(({ name }) => only === undefined || name.includes(only));
  if (worlds.length === 0) {
    const names = FULL_WORLDS.map(({ name }) => `  ${name}`).join("\n");
    throw new Misuse(`no world's name contains "${only}". There are:\n${names}`);
  }
  const bounds = {
    secondsMax: wholeNumber("seconds", seconds),
    statesMax: wholeNumber("states", states),
  };
  return searchAll({ worlds, bounds, isWhole: only === undefined });
});
