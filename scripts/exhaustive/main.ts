import { parseArgs } from "node:util";
import {
  coverageOf,
  coverageText,
  FULL_WORLDS,
  foundText,
  Search,
  type Watch,
} from "@nixwave/testkit";

const USAGE = `pnpm exhaustive                   every interleaving of small worlds, to closure; a few minutes
pnpm exhaustive --only TEXT       the worlds whose name contains TEXT; says nothing of the tables' cells
pnpm exhaustive --seconds N       at most N seconds for each world (default 300)
pnpm exhaustive --states N        at most N states for each world (default 6000000)
`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seconds: { type: "string", default: "300" },
    states: { type: "string", default: "6000000" },
    help: { type: "boolean" },
  },
});

const PROGRESS_MS = 5000;
const now = () => performance.now();
const say = (text: string) => process.stdout.write(`${text}\n`);

function main(): number {
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const secondsMax = Number(values.seconds);
  const statesMax = Number(values.states);
  if (!(secondsMax > 0) || !(statesMax > 0)) {
    process.stderr.write(`exhaustive: --seconds and --states are numbers above 0.\n${USAGE}`);
    return 2;
  }
  const { only } = values;
  const worlds = FULL_WORLDS.filter(({ name }) => only === undefined || name.includes(only));
  if (worlds.length === 0) {
    const names = FULL_WORLDS.map(({ name }) => `  ${name}`).join("\n");
    process.stderr.write(`exhaustive: no world's name contains "${only}". There are:\n${names}\n`);
    return 2;
  }
  const began = now();
  const watches: Watch[] = [];
  let states = 0;
  let bad = 0;
  for (const world of worlds) {
    let saidAt = now();
    const found = new Search(world).run(
      {
        statesMax,
        secondsMax,
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
    const isWhole = found.end === "closure" || found.end === "depth";
    if (!isWhole) bad += 1;
  }
  if (only === undefined) {
    const coverage = coverageOf(watches);
    say(coverageText(coverage));
    bad += coverage.unreached.length + coverage.stale.length;
  }
  const seconds = ((now() - began) / 1000).toFixed(0);
  const verdict = bad === 0 ? "Nothing was broken" : `${bad} things are wrong`;
  say(`${verdict}: ${worlds.length} worlds, ${states.toLocaleString("en")} states, ${seconds} s.`);
  return bad === 0 ? 0 : 1;
}

process.exitCode = main();
