import { type runCommand, wholeNumber } from "../command.ts";

export interface Options {
  readonly seeds: number;
  readonly from: number;
  /** One world alone. */
  readonly seed: number | null;
  readonly explain: boolean;
  /** Only the worlds that are signed, in which somebody lies: one in some. */
  readonly liars: boolean;
  readonly jobs: number;
  /** No further world begins after so many seconds, and a run that is cut so has failed. */
  readonly seconds: number | null;
  /** Real seconds that one world may take. */
  readonly worldSeconds: number;
  /** So many hosts through one release in three waves, instead of seeded worlds. */
  readonly fleet: number | null;
}

const USAGE = `pnpm sim [--seeds N] [--from SEED] [--jobs N]   seeded worlds, 10,000 by default
pnpm sim … --seconds N                         all of them within N seconds, or it fails
pnpm sim … --world-seconds N                   a world that takes more than N seconds (default 300) has failed
pnpm sim --liars [--seeds N] …                 signed worlds alone, with a control plane that lies
pnpm sim --seed N [--explain]                  one world; --explain tells it as a story
pnpm sim --fleet N                             N hosts through a release in three waves`;

export const SIM = {
  name: "sim",
  usage: USAGE,
  options: {
    seeds: { type: "string", default: "10,000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    explain: { type: "boolean", default: false },
    liars: { type: "boolean", default: false },
    jobs: { type: "string", default: "2" },
    seconds: { type: "string" },
    // Thousands of times what one takes; one that is signed took 70 s beneath everything else on a machine with thirty others at work.
    "world-seconds": { type: "string", default: "300" },
    fleet: { type: "string" },
  },
} as const;

type Typed = Parameters<Parameters<typeof runCommand<typeof SIM.options>>[1]>[0];

export function readOptions({ seeds, from, seed, jobs, seconds, fleet, ...flags }: Typed): Options {
  const orNone = (option: string, text: string | undefined): number | null =>
    text === undefined ? null : wholeNumber(option, text);
  return {
    ...flags,
    seeds: wholeNumber("seeds", seeds),
    from: wholeNumber("from", from),
    seed: orNone("seed", seed),
    jobs: wholeNumber("jobs", jobs),
    seconds: orNone("seconds", seconds),
    worldSeconds: wholeNumber("world-seconds", flags["world-seconds"]),
    fleet: orNone("fleet", fleet),
  };
}
