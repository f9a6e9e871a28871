import { SeededRandom } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { quietScenario } from "./scenario.ts";
import { World } from "./world.ts";

async function quiet(seed: number): Promise<ReturnType<World["result"]>> {
  const scenario = quietScenario(seed, new SeededRandom(seed, "scenario"), 3);
  const world = new World(scenario, { isTold: false });
  const isCompleted = (): boolean =>
    (world.cp.fleet?.channels() ?? []).some(
      (channel) => world.cp.fleet?.newestRollout(channel)?.kind === "Completed",
    );
  await world.run(3_600_000, isCompleted);
  expect(isCompleted()).toBe(true);
  return world.result();
}

test("a world without faults converges, and one seed gives it bit for bit", async () => {
  const [one, again, other] = [await quiet(1), await quiet(1), await quiet(2)];
  expect(one.failure).toBeNull();
  expect(again.digest).toBe(one.digest);
  expect(other.digest).not.toBe(one.digest);
});
