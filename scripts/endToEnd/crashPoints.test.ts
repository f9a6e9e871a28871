import { AGENT_CRASH_POINTS } from "@nixwave/agent";
import { CP_CRASH_POINTS } from "@nixwave/cp";
import { beforeAll, describe, expect, test } from "vitest";
import {
  agentFindings,
  controlPlaneFindings,
  type Finding,
  faultsOf,
} from "../crashMatrix/matrix.ts";
import type { Fault } from "../crashMatrix/places.ts";
import { type Undisturbed, undisturbed } from "../crashMatrix/run.ts";
import { table } from "../crashMatrix/table.ts";

// The crash matrix (pnpm crash-matrix): the real processes end at each point that the code names, by kill -9 and by a power cut.
// Every agent of a fleet dies once at a point of its own; the control plane of another dies at each of its points in turn.
// NIXWAVE_CRASH_SEED=<seed> repeats which pass of a point it was, and what each cut left.

// About two minutes each on a quiet machine; the limit is for one that is not.
const RUN_MS = 1_200_000;
const seed = Number(process.env["NIXWAVE_CRASH_SEED"] ?? Date.now() % 1_000_000);
const { signal: stop } = new AbortController();

let plain: Undisturbed;
beforeAll(async () => {
  plain = await undisturbed(stop);
}, RUN_MS);

test("without a death good converges, bad is taken back by its host, the fix converges", () => {
  expect(plain.rollouts).toEqual({
    "app-1": "Superseded",
    "app-2": "Superseded",
    "app-3": "Completed",
  });
  for (const side of ["mirror", "journal"])
    expect(plain.host).toMatchObject({
      [`${side} of HOST app-1`]: "Converged target HOST-app-1 on HOST-app-1",
      [`${side} of HOST app-2`]: "Reverted target HOST-app-2 on HOST-app-1",
      [`${side} of HOST app-3`]: "Converged target HOST-app-3 on HOST-app-3",
    });
  expect(plain.host).toMatchObject({ "running of HOST ": "HOST-app-3" });
});

const SIDES = [
  { side: "agents", find: agentFindings, points: AGENT_CRASH_POINTS },
  { side: "control plane", find: controlPlaneFindings, points: CP_CRASH_POINTS },
] as const;

describe.each<Fault>(["kill -9", "power cut"])("%s at each named crash point", (fault) => {
  for (const { side, find, points } of SIDES)
    test(`${side} (seed ${seed})`, { timeout: RUN_MS }, async () => {
      const findings = await find({ fault, seed, undisturbed: plain, stop });
      const tried = findings.map(({ place }) => place.point);
      expect([...new Set(tried)]).toEqual([...points]);
      expect(findings.flatMap(faultsOf), `seed ${seed}\n${table(findings)}`).toEqual([]);
      if (fault === "power cut") expect(findings.some(hasLaterBytes), table(findings)).toBe(true);
    });
});

/** A matrix in which no cut ever meets unsynced bytes would prove nothing about them. */
const hasLaterBytes = ({ death }: Finding): boolean => (death?.cut?.written ?? 0) > 0;
