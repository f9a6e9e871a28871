import { FULL_WORLDS, Search } from "@nixwave/testkit";
import { randomScenario } from "../sim/randomScenario.ts";
import { runWorld } from "../sim/run.ts";
import type { Scenario } from "../sim/scenario.ts";
import type { Violation } from "../sim/world.ts";
import type { Ground } from "./bugs.ts";
import { scenarioNamed } from "./scenarios.ts";

/** What one ground came to: null where every invariant held. */
export type Answered = Violation | null;

export async function answer(ground: Ground): Promise<Answered> {
  switch (ground.kind) {
    case "seed":
    case "liars":
      return await simulated(randomScenario(ground.seed));
    case "scenario":
      return await simulated(scenarioNamed(ground.name));
    case "exhaustive":
      return searched(ground.name);
  }
}

const simulated = async (scenario: Scenario): Promise<Answered> =>
  (await runWorld(scenario, { isTold: false })).failure;

/** Small worlds that end by themselves, so that a second is never counted; a search that never ends is the hunt's to stop. */
const UNBOUNDED = { statesMax: Number.POSITIVE_INFINITY, secondsMax: Number.POSITIVE_INFINITY };

function searched(name: string): Answered {
  const world = FULL_WORLDS.find((each) => each.name === name);
  if (world === undefined) throw new Error(`"${name}" is no world of the exhaustive search`);
  const { failure } = new Search(world).run(UNBOUNDED, () => performance.now());
  if (failure === null) return null;
  const [invariant = ""] = failure.what.split(":");
  return { invariant, detail: `${failure.what}, after ${failure.path.join(", ")}` };
}
