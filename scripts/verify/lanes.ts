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
  /** It is killed after so many seconds, and has failed. */
  readonly secondsMax?: number;
}

/** Steps one after the other; lanes go side by side. */
export type Lane = readonly Step[];

const pnpm = (name: string, ...args: readonly string[]): readonly string[] => [
  "pnpm",
  name,
  ...args,
];

export interface Wanted {
  /** The file by which .ci/run counts the tests; what other runs of vitest write lies beside it. */
  readonly results?: string;
  /** The tests on whole hosts too, which need root: its own, or sudo's. */
  readonly hosts?: "as root" | "by sudo";
}

/**
 * Everything that CI does. Fleets and hosts of real processes wait for most of their time; beside them go the other tests, and beneath
 * both what only computes.
 */
export function lanesOf({ results, hosts }: Wanted): readonly Lane[] {
  const beside = (file: string): Readonly<Record<string, string>> =>
    results === undefined ? {} : { NIXWAVE_TEST_RESULTS: join(dirname(results), file) };
  const fleets: Lane = [
    {
      name: "tests on fleets",
      command: pnpm("exec", "vitest", "run", "--project", "endToEnd"),
      env: beside("endToEnd.json"),
      kind: "waits",
    },
    { name: "demo", command: pnpm("demo", "--ci"), kind: "waits" },
    ...(hosts === undefined ? [] : [onHosts(hosts, beside("system.json"))]),
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

/** sudo hands on nothing of the environment unless it is told to. */
function onHosts(hosts: "as root" | "by sudo", env: Readonly<Record<string, string>>): Step {
  const step = { name: "tests on hosts", command: pnpm("test:system"), kind: "waits" } as const;
  if (hosts === "as root") return { ...step, env };
  const handed = Object.entries({ PATH: process.env["PATH"] ?? "", ...env });
  const words = handed.map(([name, value]) => `${name}=${value}`);
  return { ...step, command: ["sudo", "-n", "env", ...words, ...step.command] };
}
