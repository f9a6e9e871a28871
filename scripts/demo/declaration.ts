import type { Policy } from "@nixwave/effects";

/** One host of a demo fleet. */
export interface DemoHost {
  readonly name: string;
  /** From 1. */
  readonly wave: number;
  readonly tags: readonly string[];
}

export interface DemoRules {
  readonly channel: string;
  readonly soakSecs: number;
  readonly thresholdSecs: number;
  /** More failed hosts than this halt the rollout. */
  readonly maxFailures: number;
  /** What else of the policy is not as below. */
  readonly policy?: Partial<Policy>;
  readonly budget: {
    readonly name: string;
    readonly tag: string;
    readonly maxInFlight: number;
  } | null;
  readonly edges: readonly {
    readonly gates: string;
    readonly gated: string;
    readonly reason: string;
  }[];
}

/** Eight hosts in three waves: one canary; a database that one web server waits for; the rest. */
export const EIGHT_HOSTS: readonly DemoHost[] = [
  { name: "canary-1", wave: 1, tags: ["canary"] },
  { name: "db-1", wave: 2, tags: ["db"] },
  { name: "web-1", wave: 2, tags: ["web"] },
  { name: "web-2", wave: 2, tags: ["web"] },
  { name: "web-3", wave: 3, tags: ["web"] },
  { name: "web-4", wave: 3, tags: ["web"] },
  { name: "mail-1", wave: 3, tags: ["mail"] },
  { name: "cache-1", wave: 3, tags: ["cache"] },
];

/** Short enough for a minute, long enough to be seen. */
export const DEMO_RULES: DemoRules = {
  channel: "stable",
  soakSecs: 2,
  thresholdSecs: 3,
  maxFailures: 0,
  budget: { name: "web", tag: "web", maxInFlight: 1 },
  edges: [{ gates: "db-1", gated: "web-1", reason: "web-1 runs db-1's migrations" }],
};

/** A host's probe is asked this often; results equal to the last are no events. */
export const PROBE_INTERVAL_SECS = 0.5;
const WAVE_NAMES = ["canary", "database and web", "everything else"];

/** The declaration as `nixwave release` reads it. JSON is YAML. */
export function declarationOf(
  hosts: readonly DemoHost[],
  rules: DemoRules,
  {
    closures,
    sshHostKeys,
    digests = new Map(),
  }: {
    readonly closures: ReadonlyMap<string, string>;
    readonly sshHostKeys: ReadonlyMap<string, string>;
    /** Of the closures whose contents the release signs too. */
    readonly digests?: ReadonlyMap<string, string>;
  },
): string {
  const waves = [...new Set(hosts.map(({ wave }) => wave))].sort((a, b) => a - b);
  const declaration = {
    schemaVersion: 1,
    hosts: Object.fromEntries(
      hosts.map(({ name, tags }) => [
        name,
        {
          system: "x86_64-linux",
          channel: rules.channel,
          tags,
          closure: closures.get(name),
          closureDigest: digests.get(name),
          sshHostKey: sshHostKeys.get(name),
        },
      ]),
    ),
    channels: {
      [rules.channel]: {
        waves: waves.map((wave) => ({
          description: WAVE_NAMES[wave - 1] ?? `wave ${wave}`,
          select: { hosts: hosts.filter((host) => host.wave === wave).map(({ name }) => name) },
          soakSecs: rules.soakSecs,
        })),
        policy: {
          onHealthFailure: "rollback-and-halt",
          healthFailureThresholdSecs: rules.thresholdSecs,
          maxFailures: rules.maxFailures,
          activationTimeoutSecs: 240,
          realiseTimeoutSecs: 240,
          rollbackTimeoutSecs: 240,
          probeReportSecs: 5,
          lostSecs: 120,
          offlineGraceSecs: 120,
          ...rules.policy,
        },
      },
    },
    budgets:
      rules.budget === null
        ? []
        : [
            {
              name: rules.budget.name,
              select: { tags: [rules.budget.tag] },
              maxInFlight: rules.budget.maxInFlight,
            },
          ],
    edges: rules.edges,
  };
  return `${JSON.stringify(declaration, null, 2)}\n`;
}
