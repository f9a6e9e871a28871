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
  }
}

const simulated = async (scenario: Scenario): Promise<Answered> =>
  (await runWorld(scenario, { isTold: false })).failure;
