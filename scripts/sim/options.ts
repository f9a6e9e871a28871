import { parseArgs } from "node:util";

export interface Options {
  readonly seeds: number;
  readonly from: number;
  /** One world alone. */
  readonly seed: number | null;
  readonly explain: boolean;
  /** Only the worlds that are signed, in which somebody lies: one in some. */
  readonly liars: boolean;
  readonly jobs: number;
  /** No further world begins after so many seconds. */
  readonly seconds: number | null;
  /** So many hosts through one release in three waves, instead of seeded worlds. */
  readonly fleet: number | null;
}

export const USAGE = `pnpm sim [--seeds N] [--from SEED] [--jobs N] [--seconds N]   seeded worlds, 10,000 by default
pnpm sim --liars [--seeds N] …                               signed worlds alone, with a control plane that lies
pnpm sim --seed N [--explain]                                one world; --explain tells it as a story
pnpm sim --fleet N                                           N hosts through a release in three waves`;

/** Reads argv; the error is a sentence. */
export function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seeds: { type: "string" },
      from: { type: "string" },
      seed: { type: "string" },
      explain: { type: "boolean" },
      liars: { type: "boolean" },
      jobs: { type: "string" },
      seconds: { type: "string" },
      fleet: { type: "string" },
    },
  });
  const number = (name: string, text: string | undefined): number | null => {
    if (text === undefined) return null;
    const value = Number(text.replaceAll(",", ""));
    if (Number.isSafeInteger(value) && value > 0) return value;
    throw new Error(`--${name} is "${text}"; expected a whole number from 1`);
  };
  return {
    seeds: number("seeds", values.seeds) ?? 10_000,
    from: number("from", values.from) ?? 1,
    seed: number("seed", values.seed),
    explain: values.explain ?? false,
    liars: values.liars ?? false,
    jobs: number("jobs", values.jobs) ?? 2,
    seconds: number("seconds", values.seconds),
    fleet: number("fleet", values.fleet),
  };
}
