import { parseArgs } from "node:util";
import { BUGS, type Bug } from "./bugs.ts";
import { type Bounds, hunt, isCaught } from "./hunt.ts";
import { bugsText, huntedText } from "./table.ts";

const USAGE = `pnpm planted                plants each bug, one after another, and looks for it; some minutes
pnpm planted --only NAME    one of them
pnpm planted --seeds N      at most N further seeds where chance is to find it (default 300)
pnpm planted --seconds N    at most N seconds for each (default 300)
pnpm planted --list         what is planted
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: process.argv.slice(2).filter((word) => word !== "--"),
    options: {
      only: { type: "string" },
      seeds: { type: "string", default: "300" },
      seconds: { type: "string", default: "300" },
      list: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (values.list === true) {
    console.log(bugsText(BUGS));
    return 0;
  }
  const bounds = { seedsMax: Number(values.seeds), secondsMax: Number(values.seconds) };
  const bugs = BUGS.filter(({ name }) => values.only === undefined || name === values.only);
  const areNumbers = Number.isSafeInteger(bounds.seedsMax) && bounds.secondsMax > 0;
  if (!areNumbers || bugs.length === 0) {
    const named = areNumbers ? `no planted bug is named "${values.only}"` : "N is a number above 0";
    process.stderr.write(`planted: ${named}.\n${USAGE}${bugsText(BUGS)}\n`);
    return 2;
  }
  let missed = 0;
  for (const bug of bugs) {
    if (!(await isFound(bug, bounds))) missed += 1;
  }
  const verdict = missed === 0 ? "each was found, and none where it was not" : `${missed} MISSED`;
  console.log(`${bugs.length} planted bugs: ${verdict}.`);
  return missed === 0 ? 0 : 1;
}

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

try {
  process.exitCode = await main();
} catch (cause) {
  console.error(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
  process.exitCode = 2;
}
