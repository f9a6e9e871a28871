import { START } from "@nixwave/testkit";
import { arm } from "./faults.ts";
import { unrest } from "./rest.ts";
import { NOTHING_RETAINED } from "./retained.ts";
import type { Scenario } from "./scenario.ts";
import { listenForStrays, type Strays, thrown } from "./thrown.ts";
import { type Violation, World, type WorldOptions, type WorldResult } from "./world.ts";

/** After the last fault a world has so long to come to rest: the longest retry is an hour, and some follow each other. */
const REST_WITHIN_MS = 5 * 3_600_000;
/** Looked at so often at first; a world that still moves after an hour is looked at less often. */
const LOOK_EVERY_MS = 20_000;

/**
 * One world from its first second to its rest. Never rejects: what is thrown in it, or left behind by it, is a violation like any
 * other, with its seed, and can be shrunk.
 */
export async function runWorld(scenario: Scenario, options: WorldOptions): Promise<WorldResult> {
  const strays = listenForStrays();
  const result = await outcome(scenario, options, strays);
  const left = await strays.end();
  return { ...result, failure: result.failure ?? left };
}

async function outcome(
  scenario: Scenario,
  options: WorldOptions,
  strays: Strays,
): Promise<WorldResult> {
  let world: World;
  try {
    world = new World(scenario, options);
  } catch (cause) {
    return stillborn(scenario, thrown(cause));
  }
  try {
    await Promise.race([live(world), strays.first]);
  } catch (cause) {
    const { invariant, detail } = thrown(cause);
    world.fail(invariant, detail);
  }
  const result = world.result();
  world.close();
  return result;
}

async function live(world: World): Promise<void> {
  arm(world);
  const { calmAtMs } = world.scenario;
  await world.run(calmAtMs, () => false);
  let left: readonly string[] = ["not looked at yet"];
  const untilMs = calmAtMs + REST_WITHIN_MS;
  while (world.violation === null && left.length > 0 && world.time.nowMs - START < untilMs) {
    await world.run(world.time.nowMs - START + LOOK_EVERY_MS, () => false);
    left = unrest(world);
  }
  if (world.violation === null && left.length > 0) world.fail("I14", left.slice(0, 5).join("; "));
  const { fleet, now } = world.cp;
  if (world.violation === null && fleet !== null) {
    world.watch.planned(fleet, now);
    world.watch.everyParity(fleet);
    world.adversary?.rested();
    await world.watch.stored();
  }
}

/** A world that could not even begin. */
const stillborn = ({ seed }: Scenario, failure: Violation): WorldResult => ({
  seed,
  failure,
  virtualMs: 0,
  fired: 0,
  eventsApplied: 0,
  crashes: 0,
  retained: NOTHING_RETAINED,
  lied: null,
  digest: "",
  lines: [],
});
