import fc from "fast-check";
import { expect, test } from "vitest";
import type { ControlPlane } from "./controlPlane.fixture.ts";
import { rolloutBlock } from "./gates.ts";
import { history } from "./history.fixture.ts";
import { Look } from "./look.ts";
import { planAll } from "./plan.ts";
import { World } from "./world.fixture.ts";

/** RUNS=5000 for a long look. */
const RUNS = { numRuns: Number(process.env["RUNS"] ?? 100) };

/** Hosts of a wave to come are looked at when it opens; until then they wait for it, whatever else would hold them too. */
function assertToldWaits(cp: ControlPlane): void {
  const { index } = cp.fleet;
  const full = planAll(cp.fleet, cp.now).waiting;
  for (const of of cp.fleet.channels()) {
    const entry = index.channel(of).rollouts.at(-1);
    if (entry === undefined) continue;
    const wide = rolloutBlock(entry, new Look(index, index.counts, cp.now))?.block.gate;
    const told = new Map(
      cp.fleet.waiting(entry.rolloutId).map((one) => [one.host, one.block.gate]),
    );
    const waits = full.filter(({ rolloutId }) => rolloutId === entry.rolloutId);
    const counts = new Map<string, number>();
    for (const { host: name, block } of waits) {
      const isToCome = (entry.members.get(name)?.listed?.wave ?? 0) > (entry.rollout?.cursor ?? 0);
      if (!isToCome) expect(told.get(name)).toBe(block.gate);
      const counted = isToCome ? (wide ?? "wave") : block.gate;
      counts.set(counted, (counts.get(counted) ?? 0) + 1);
    }
    expect([...told.keys()].filter((name) => !waits.some((one) => one.host === name))).toEqual([]);
    expect(new Map(cp.fleet.waitingByGate(entry.rolloutId))).toEqual(counts);
  }
}

test("what hosts wait for is told as the full plan would tell it, and counted so without looking at them", () => {
  fc.assert(
    fc.property(history, (ops) => {
      const world = new World(false);
      for (const one of ops) {
        world.do(one);
        assertToldWaits(world.cp);
      }
    }),
    RUNS,
  );
});
