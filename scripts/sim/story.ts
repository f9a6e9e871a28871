import { shrink } from "@nixwave/testkit";
import { randomScenario } from "./randomScenario.ts";
import { runWorld } from "./run.ts";
import type { Fault, Scenario } from "./scenario.ts";
import type { WorldResult } from "./world.ts";

const LINES_MAX = 80;

/** One world with all its faults, line by line as it goes. */
export async function tell(seed: number, say: (line: string) => void): Promise<WorldResult> {
  const scenario = randomScenario(seed);
  say(headline(scenario));
  const result = await runWorld(scenario, { isTold: false, onLine: say });
  say(ending(result));
  return result;
}

/** The same failure with as few faults as it takes, and the end of that story. */
export async function tellShrunk(seed: number, invariant: string): Promise<string> {
  const scenario = randomScenario(seed);
  const fails = async (faults: readonly Fault[]): Promise<boolean> => {
    const { failure } = await runWorld({ ...scenario, faults }, { isTold: false });
    return failure?.invariant === invariant;
  };
  const faults = await shrink(scenario.faults, fails);
  const shrunk = { ...scenario, faults };
  const result = await runWorld(shrunk, { isTold: true });
  const lines = result.lines.filter((line) => !line.includes(" cp: commits "));
  return [
    headline(shrunk),
    ...(lines.length > LINES_MAX ? [`… ${lines.length - LINES_MAX} lines before`] : []),
    ...lines.slice(-LINES_MAX),
    ending(result),
  ].join("\n");
}

function headline({ seed, hosts, releases, faults, calmAtMs }: Scenario): string {
  const counted = `${hosts.length} hosts, ${releases.length} releases, ${faults.length} faults in ${Math.round(calmAtMs / 60_000)} min`;
  return [`seed ${seed}: ${counted}`, ...faults.map((fault) => `  ${JSON.stringify(fault)}`)].join(
    "\n",
  );
}

export function ending({
  seed,
  failure,
  virtualMs,
  eventsApplied,
  crashes,
  digest,
}: WorldResult): string {
  const facts = `${Math.round(virtualMs / 1000)} s of virtual time, ${eventsApplied} events, ${crashes} crashes, ${digest.slice(0, 16)}`;
  return failure === null
    ? `seed ${seed} came to rest: ${facts}`
    : `seed ${seed} VIOLATED ${failure.invariant}: ${failure.detail}\n(${facts}; again with: pnpm sim --seed ${seed} --explain)`;
}
