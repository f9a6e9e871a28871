import { FULL_WORLDS, Search } from "@nixwave/testkit";
import { randomScenario } from "../sim/randomScenario.ts";
import { runWorld } from "../sim/run.ts";
import type { Scenario } from "../sim/scenario.ts";
import type { Violation } from "../sim/world.ts";
import type { Ground } from "./bugs.ts";
import { scenarioNamed } from "./scenarios.ts";

/** What one ground came to: null where every invariant held. */
export type Answered = Violation | null;

const EXHAUSTIVE_STATES_MAX = 1_000_000;
const EXHAUSTIVE_SECONDS_MAX = 120;

export async function answer(ground: Ground): Promise<Answered> {
  switch (ground.kind) {
    case "seed":
    case "liars":
      return await simulated(randomScenario(ground.seed));
    case "scenario":
      return await simulated(scenarioNamed(ground.name));
    case "exhaustive":
      return searched(ground.world);
  }
}

/** What a bug makes impossible is thrown by what assumes it. */
async function simulated(scenario: Scenario): Promise<Answered> {
  try {
    return (await runWorld(scenario, { isTold: false })).failure;
  } catch (cause) {
    const detail = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    return { invariant: "no-bug", detail };
  }
}

/** Throws where the search did not come to its end: it has shown nothing then. */
function searched(name: string): Answered {
  const world = FULL_WORLDS.find((each) => each.name === name);
  if (world === undefined) throw new Error(`"${name}" is no world of the exhaustive search`);
  const bounds = { statesMax: EXHAUSTIVE_STATES_MAX, secondsMax: EXHAUSTIVE_SECONDS_MAX };
  const { failure, end } = new Search(world).run(bounds, () => performance.now());
  if (failure !== null) {
    const [invariant = "", ...rest] = failure.what.split(": ");
    return { invariant, detail: `${rest.join(": ")}, after ${failure.path.length} steps` };
  }
  if (end !== "closure") throw new Error(`the search of "${name}" ended by its ${end}`);
  return null;
}
