import { START } from "@nixwave/testkit";
import type { Scenario } from "./scenario.ts";
import { World } from "./world.ts";

const STEP_MS = 5000;
const WITHIN_MS = 2 * 3_600_000;

/** A hundredth, a tenth, the rest. */
function waveOf(index: number, hosts: number): number {
  if (index < Math.max(1, hosts / 100)) return 1;
  return index < Math.max(2, hosts / 10) ? 2 : 3;
}

function fleetScenario(hosts: number): Scenario {
  return {
    seed: 1,
    calmAtMs: 0,
    pollWaitSecs: 120,
    inFiles: false,
    isSigned: false,
    faults: [],
    hosts: Array.from({ length: hosts }, (_, index) => ({
      name: `h-${index + 1}`,
      channel: "stable",
      wave: waveOf(index, hosts),
      // A fleet comes up over some time; all at once would be a story about queues.
      startsAtMs: Math.floor((index * 30_000) / hosts),
      wallOffMs: 0,
    })),
    releases: [
      {
        channel: "stable",
        version: "v1",
        atMs: 30_000,
        soakSecs: 30,
        waves: 3,
        policy: {},
        budgets: [],
        edges: [],
        after: [],
        behaviours: {},
      },
    ],
  };
}

/** `hosts` hosts through one release in three waves, in virtual time. Rejects where they don't get through it. */
export async function runFleet(hosts: number, say: (line: string) => void): Promise<void> {
  const began = Date.now();
  const secs = (): string => ((Date.now() - began) / 1000).toFixed(1);
  const world = new World(fleetScenario(hosts), { isTold: false, isWatched: false });
  const rollout = () => {
    const { fleet } = world.cp;
    const channel = fleet?.channels()[0];
    return channel === undefined ? null : (fleet?.newestRollout(channel) ?? null);
  };
  let cursor = 0;
  const elapsed = (): number => (world.time.nowMs - START) / 1000;
  const isGoing = (): boolean =>
    world.violation === null && rollout()?.kind !== "Completed" && elapsed() * 1000 < WITHIN_MS;
  while (isGoing()) {
    await world.run(world.time.nowMs - START + STEP_MS, () => false);
    const at = rollout()?.cursor ?? 0;
    if (at === cursor) continue;
    cursor = at;
    say(`${secs()} s: after ${elapsed()} s of virtual time the cursor is at wave ${at}`);
  }
  const { fleet } = world.cp;
  const kind = rollout()?.kind;
  if (fleet === null || kind !== "Completed")
    throw new Error(`the rollout is ${kind ?? "not there"} after ${elapsed()} s of virtual time`);
  await world.run(world.time.nowMs - START + STEP_MS, () => false);
  world.watch.everyParity(fleet);
  await world.watch.stored();
  const { failure, fired, eventsApplied } = world.result();
  if (failure !== null) throw new Error(`${failure.invariant}: ${failure.detail}`);
  const memory = Math.round(process.memoryUsage().rss / 2 ** 20);
  say(
    `${hosts.toLocaleString("en")} hosts Converged in ${elapsed()} s of virtual time and ${secs()} s of real time: ` +
      `${eventsApplied.toLocaleString("en")} events in ${fired.toLocaleString("en")} steps, ${memory} MiB; the log folds into the tables, and both sides agree`,
  );
}
