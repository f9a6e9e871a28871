import { dirname, join } from "node:path";

/** One command of `pnpm verify`. */
export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * `waits`: mostly for timers of real processes, which must get the processor when they want it.
   * `computes`: takes what the others leave.
   */
  readonly kind: "waits" | "computes";
}

/** Steps one after the other; lanes go side by side. */
export type Lane = readonly Step[];

const pnpm = (name: string, ...args: readonly string[]): readonly string[] => [
  "pnpm",
  name,
  ...args,
];

/**
 * Everything that CI does. Fleets of real processes wait for most of their time; beside them go the other tests, and beneath both
 * what only computes. `results` is the file by which .ci/run counts the tests; the fleets' are counted by one beside it.
 */
export function lanesOf(results: string | undefined): readonly Lane[] {
  const beside =
    results === undefined ? {} : { NIXWAVE_TEST_RESULTS: join(dirname(results), "endToEnd.json") };
  const fleets: Lane = [
    {
      name: "tests on fleets",
      command: pnpm("exec", "vitest", "run", "--project", "endToEnd"),
      env: beside,
      kind: "waits",
    },
    { name: "demo", command: pnpm("demo", "--ci"), kind: "waits" },
  ];
  const tests: Lane = [
    {
      name: "other tests",
      command: pnpm("exec", "vitest", "run", "--project", "!system", "--project", "!endToEnd"),
      kind: "waits",
    },
  ];
  const computed: Lane = [
    ...["format:check", "lint", "typecheck", "knip"].map(
      (name): Step => ({ name, command: pnpm(name), kind: "computes" }),
    ),
    { name: "prove", command: pnpm("prove"), kind: "computes" },
  ];
  return [fleets, tests, computed];
}
