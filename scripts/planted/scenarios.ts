import type { Policy } from "@nixwave/effects";
import { type Behaviour, GOOD } from "../sim/machine.ts";
import type { Fault, HostPlan, OperatorAction, ReleasePlan, Scenario } from "../sim/scenario.ts";

/** Throws where there is none, with the names that there are. */
export function scenarioNamed(name: string): Scenario {
  const made = SCENARIOS[name];
  if (made !== undefined) return made;
  throw new Error(`"${name}" is no scenario; expected one of ${Object.keys(SCENARIOS).join(", ")}`);
}

const SECOND = 1000;
const CALM_AT_MS = 300 * SECOND;

/** h-1, h-2 …: one for each wave that is named. */
const hosts = (...waves: readonly number[]): readonly HostPlan[] =>
  waves.map((wave, index) => ({
    name: `h-${index + 1}`,
    channel: "stable",
    wave,
    startsAtMs: 0,
    wallOffMs: 0,
  }));

const POLICY: Partial<Policy> = {
  healthFailureThresholdSecs: 15,
  activationTimeoutSecs: 60,
  realiseTimeoutSecs: 120,
  rollbackTimeoutSecs: 60,
  probeReportSecs: 20,
  lostSecs: 150,
  offlineGraceSecs: 60,
};

const release = (over: Partial<ReleasePlan> = {}): ReleasePlan => ({
  channel: "stable",
  version: "v1",
  atMs: 10 * SECOND,
  soakSecs: 20,
  waves: 1,
  policy: POLICY,
  budgets: [],
  edges: [],
  after: [],
  behaviours: {},
  ...over,
});

const behaviour = (over: Partial<Behaviour>): Behaviour => ({ ...GOOD, ...over });
const ILL = behaviour({ healthyAfterSecs: null });

const operator = (
  action: OperatorAction,
  atSecs: number,
  over: { readonly host?: string; readonly forMs?: number } = {},
): Fault => ({
  kind: "operator",
  atMs: atSecs * SECOND,
  action,
  channel: "stable",
  host: over.host ?? "h-1",
  forMs: over.forMs ?? null,
});

const scenario = (over: Partial<Scenario>): Scenario => ({
  seed: 1,
  calmAtMs: CALM_AT_MS,
  pollWaitSecs: 60,
  inFiles: false,
  isSigned: false,
  hosts: hosts(1, 1, 1),
  releases: [release()],
  faults: [],
  ...over,
});

const cuts = (names: readonly string[]): readonly Fault[] =>
  names.map((who, index) => ({
    kind: "power-cut",
    atMs: (18 + 2 * index) * SECOND,
    who,
    passes: index % 4,
    downMs: 2 * SECOND,
  }));

const SIX = ["h-1", "h-2", "h-3", "h-4", "h-5", "h-6"];

/** Worlds made for what chance brings about too rarely. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "paused-between-waves": scenario({
    hosts: hosts(1, 2, 2),
    releases: [release({ waves: 2 })],
    faults: [operator("pause", 20)],
  }),
  "retried-after-restart": scenario({
    releases: [release({ behaviours: { "h-1": ILL }, policy: { ...POLICY, maxFailures: 1 } })],
    faults: [
      { kind: "kill", atMs: 120 * SECOND, who: "cp", downMs: 5 * SECOND },
      operator("retry", 150),
    ],
  }),
  "first-wave-away": scenario({
    hosts: hosts(1, 2, 2),
    releases: [release({ waves: 2 })],
    faults: [{ kind: "away", atMs: 5 * SECOND, host: "h-1", forMs: 280 * SECOND }],
  }),
  "no-probe-file": scenario({
    releases: [release({ behaviours: { "h-1": behaviour({ declaresProbes: false }) } })],
  }),
  "dies-in-switch": scenario({
    hosts: hosts(1, 1, 2),
    releases: [release({ waves: 2, behaviours: { "h-1": behaviour({ switchSecs: 40 }) } })],
    faults: [{ kind: "dies", atMs: 25 * SECOND, host: "h-1" }],
  }),
  "superseded-while-soaking": scenario({
    releases: [
      release({ soakSecs: 60, behaviours: { "h-1": behaviour({ illAtSecs: 25 }) } }),
      release({ version: "v2", atMs: 35 * SECOND }),
    ],
  }),
  "superseded-then-ill": scenario({
    releases: [
      release({ soakSecs: 60 }),
      release({ version: "v2", atMs: 35 * SECOND, behaviours: { "h-1": ILL } }),
    ],
  }),
  "restarted-in-switch": scenario({
    releases: [release({ behaviours: { "h-1": behaviour({ switchSecs: 40 }) } })],
    faults: [{ kind: "kill", atMs: 38 * SECOND, who: "h-1", downMs: SECOND }],
  }),
  "rebooted-in-rollback": scenario({
    releases: [release({ behaviours: { "h-1": ILL }, policy: { ...POLICY, maxFailures: 1 } })],
    faults: [
      { kind: "reboot", atMs: 35 * SECOND, host: "h-1", downMs: 10 * SECOND, noClock: false },
    ],
  }),
  "forgotten-in-soak": scenario({
    releases: [release({ soakSecs: 60 })],
    faults: [{ kind: "forgets", atMs: 40 * SECOND, host: "h-1" }],
  }),
  "power-cuts-while-soaking": scenario({
    inFiles: true,
    hosts: hosts(1, 1, 1, 1, 1, 1),
    releases: [release({ soakSecs: 60 })],
    faults: cuts(SIX),
  }),
};
