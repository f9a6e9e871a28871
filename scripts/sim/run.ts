import { START } from "@nixwave/testkit";
import { arm } from "./faults.ts";
import { unrest } from "./rest.ts";
import type { Scenario } from "./scenario.ts";
import { World, type WorldOptions, type WorldResult } from "./world.ts";

/** After the last fault a world has so long to come to rest: the longest retry is an hour, and some follow each other. */
const REST_WITHIN_MS = 5 * 3_600_000;
/** Looked at so often at first; a world that still moves after an hour is looked at less often. */
const LOOK_EVERY_MS = 20_000;

/** One world from its first second to its rest. */
export async function runWorld(scenario: Scenario, options: WorldOptions): Promise<WorldResult> {
  const world = new World(scenario, options);
  arm(world);
  await world.run(scenario.calmAtMs, () => false);
  let left: readonly string[] = ["not looked at yet"];
  const untilMs = scenario.calmAtMs + REST_WITHIN_MS;
  while (world.violation === null && left.length > 0 && world.time.nowMs - START < untilMs) {
    await world.run(world.time.nowMs - START + LOOK_EVERY_MS, () => false);
    left = unrest(world);
  }
  if (world.violation === null && left.length > 0) world.fail("I14", left.slice(0, 5).join("; "));
  const { fleet, now } = world.cp;
  if (world.violation === null && fleet !== null) {
    world.watch.explained(fleet, now);
    world.watch.everyParity(fleet);
    world.adversary?.rested();
    await world.watch.stored();
  }
  const result = world.result();
  world.close();
  return result;
}
