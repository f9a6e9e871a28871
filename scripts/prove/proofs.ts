import type { Step } from "../verify/lanes.ts";

export interface Asked {
  readonly seeds: number;
  readonly hosts: number;
  /** For all seeded worlds. */
  readonly secondsMax: number;
}

/** A command, and the line of its output that says what was shown. */
interface Proof {
  readonly step: Step;
  readonly shows: RegExp;
}

/** For all ten thousand worlds in CI, where they compute beneath everything else: half as long again as they took there. */
export const WORLDS_SECS_MAX = 1800;
/** Failures are told, and shrunk, after the worlds. */
const TOLD_WITHIN_SECS = 300;
/** A minute where nobody else computes, and CI computes beneath everything else. */
const FLEET_SECS_MAX = 900;
/** Some minutes likewise. */
const EXHAUSTIVE_SECS_MAX = 1800;

const step = (name: string, args: readonly string[], secondsMax: number): Step => ({
  name,
  command: [process.execPath, ...args],
  // Its own command says how it gives way.
  kind: "waits",
  secondsMax,
});

/** What anybody can have shown by one command; each has a bound, so that CI has one. */
export const proofs = ({ seeds, hosts, secondsMax }: Asked): readonly Proof[] => [
  {
    step: step(
      `${seeds.toLocaleString("en")} seeded worlds`,
      ["scripts/sim/main.ts", "--seeds", `${seeds}`, "--seconds", `${secondsMax}`],
      secondsMax + TOLD_WITHIN_SECS,
    ),
    shows: /^(seeds \d+ to .* worlds in|FAILED: )/,
  },
  {
    step: step(
      `a fleet of ${hosts.toLocaleString("en")} hosts`,
      ["scripts/sim/main.ts", "--fleet", `${hosts}`],
      FLEET_SECS_MAX,
    ),
    shows: /hosts Converged in/,
  },
  {
    step: step(
      "every interleaving of small worlds",
      // Beneath everything else a world takes several times what it takes alone.
      ["scripts/exhaustive/main.ts", "--seconds", "900"],
      EXHAUSTIVE_SECS_MAX,
    ),
    shows: /worlds, [\d,]+ states, \d+ s\.$/,
  },
];
