import { expect, test } from "vitest";
import { SIGNED_EVERY, STRUCK, signedFrom } from "./liarPlans.ts";
import { randomScenario } from "./randomScenario.ts";
import type { Fault } from "./scenario.ts";

const WORLDS = 200;

const nameOf = (fault: Fault): readonly string[] => {
  if (fault.kind === "lies") return [fault.lie];
  return fault.kind === "mirror-attacks" ? [`${fault.attack}, ${fault.where}`] : [];
};

test.for([0, 30_000])(
  "two hundred signed worlds from seed %i on have every lie and every attack several times",
  (from) => {
    const times = new Map<string, number>();
    for (let index = 0; index < WORLDS; index += 1) {
      const { faults } = randomScenario(signedFrom(from) + index * SIGNED_EVERY);
      for (const name of faults.flatMap(nameOf)) times.set(name, (times.get(name) ?? 0) + 1);
    }
    expect(times.size).toBe(STRUCK.length);
    expect(Math.min(...times.values())).toBeGreaterThanOrEqual(3);
  },
);
