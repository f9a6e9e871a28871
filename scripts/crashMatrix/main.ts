import { Misuse, runCommand } from "../command.ts";
import { agentFindings, controlPlaneFindings, type Finding, faultsOf } from "./matrix.ts";
import { undisturbed } from "./run.ts";
import { summary, table } from "./table.ts";

const USAGE = `pnpm crash-matrix              the real processes, ended at each named crash point by kill -9 and by a power cut
pnpm crash-matrix --seed N     the same passes and the same cuts again
pnpm crash-matrix --only SIDE  agent or cp alone`;
/** Two fleets at once keep two cores busy, a third only makes all slower. */
const AT_ONCE = 2;

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => {
    interrupted.abort(new Error(`told to stop by ${signal}`));
  });

const FAULTS = ["kill -9", "power cut"] as const;
const SIDES = [
  { side: "agent", find: agentFindings },
  { side: "cp", find: controlPlaneFindings },
] as const;

type Work = () => Promise<readonly Finding[]>;

/** Runs all of them, a few at once; the findings come in the order of the work. */
async function inTurn(work: readonly Work[]): Promise<readonly Finding[]> {
  const found: (readonly Finding[])[] = [];
  const left = [...work.entries()];
  const hand = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      found[next[0]] = await next[1]();
  };
  const hands = await Promise.allSettled(Array.from({ length: AT_ONCE }, hand));
  for (const one of hands) if (one.status === "rejected") throw one.reason;
  return found.flat();
}

const CRASH_MATRIX = {
  name: "crash-matrix",
  usage: USAGE,
  options: { seed: { type: "string" }, only: { type: "string" } },
} as const;

await runCommand(CRASH_MATRIX, async (values) => {
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new Misuse(`--seed is "${values.seed}"; expected a whole number`);
  const sides = SIDES.filter(({ side }) => (values.only ?? side) === side);
  if (sides.length === 0) throw new Misuse(`--only is "${values.only}"; expected agent or cp`);
  const began = performance.now();
  const secs = (): number => Math.round((performance.now() - began) / 1000);
  const { signal: stop } = interrupted;
  const options = { seed, stop, undisturbed: await undisturbed(stop) };
  console.error(`seed ${seed}: the story without a death was told in ${secs()} s`);
  const findings = await inTurn(
    FAULTS.flatMap((fault) =>
      sides.map(({ side, find }) => async () => {
        const found = await find({ ...options, fault });
        console.error(`${side}, ${fault}: ${found.length} places by ${secs()} s`);
        return found;
      }),
    ),
  );
  console.log(table(findings));
  console.log(`\n${summary(findings)}\nseed ${seed}, ${secs()} s`);
  return findings.flatMap(faultsOf).length === 0 ? 0 : 1;
});
