import type { Agent } from "@nixwave/agent";
import type { LogRetention } from "@nixwave/cp";
import type { HostName, Policy } from "@nixwave/effects";
import type { SeededRandom, Weather } from "@nixwave/testkit";
import type { LieName } from "./lies.ts";
import type { Behaviour } from "./machine.ts";
import type { MirrorAttackName } from "./mirrorAttack.ts";

/** Everything that a world is told to do, made from its seed before it begins: so that a fault can be left out. */
export interface Scenario {
  readonly seed: number;
  readonly hosts: readonly HostPlan[];
  readonly releases: readonly ReleasePlan[];
  readonly faults: readonly Fault[];
  /** From then on nothing more is done to the world. */
  readonly calmAtMs: number;
  readonly pollWaitSecs: number;
  /** Databases are real files, so that a power cut can tear them. */
  readonly inFiles: boolean;
  /** How much of the control plane's log is kept, where hours of its retention come. */
  readonly logKept?: LogRetention;
  /** Releases are signed with real keys and verified on both sides, and there may be somebody who lies. */
  readonly isSigned: boolean;
}

export interface HostPlan {
  readonly name: string;
  readonly channel: string;
  readonly wave: number;
  readonly startsAtMs: number;
  readonly wallOffMs: number;
  /** What becomes of its first rollbacks, whatever the closure; later ones end well. */
  readonly rollbacks?: { readonly end: "exits-1" | "hangs"; readonly times: number };
  /** How long it takes to say which boot it is. Where nothing takes any time, all that follows a switch has its very instant. */
  readonly answersAfterMs?: number;
}

export interface ReleasePlan {
  readonly channel: string;
  readonly version: string;
  readonly atMs: number;
  readonly soakSecs: number;
  readonly waves: number;
  readonly policy: Partial<Policy>;
  readonly budgets: readonly { readonly hosts: readonly string[]; readonly max: number }[];
  readonly edges: readonly { readonly gates: string; readonly gated: string }[];
  readonly after: readonly string[];
  /** By host, where it is not one of its own for this version: shared with others, or the one of a release before. */
  readonly closures?: Readonly<Record<string, string>>;
  /** By host; whoever is not named has a good closure. */
  readonly behaviours: Readonly<Record<string, Behaviour>>;
}

export const OPERATOR_ACTIONS = [
  "pause",
  "resume",
  "clear",
  "cancel",
  "advance",
  "retry",
  "freeze",
  "unfreeze",
  "lift",
  "resume-after-restore",
] as const;
export type OperatorAction = (typeof OPERATOR_ACTIONS)[number];

type Leaving = NonNullable<Parameters<Agent["stop"]>[0]>;

interface At {
  readonly atMs: number;
}
/** `who` is a host's name, or "cp". */
export type Fault = At &
  (
    | { readonly kind: "kill"; readonly who: string; readonly downMs: number }
    /** With one of the next commits. */
    | {
        readonly kind: "power-cut";
        readonly who: string;
        readonly passes: number;
        readonly downMs: number;
      }
    | {
        readonly kind: "crash";
        readonly who: string;
        readonly point: string;
        readonly passes: number;
        readonly downMs: number;
      }
    | {
        readonly kind: "weather";
        readonly hosts: readonly string[];
        readonly forMs: number;
        readonly weather: Weather;
      }
    /** The hour of the control plane's retention comes. */
    | { readonly kind: "retains" }
    | { readonly kind: "jump"; readonly who: string; readonly byMs: number }
    | {
        readonly kind: "reboot";
        readonly host: string;
        readonly downMs: number;
        readonly noClock: boolean;
      }
    /** As a person does it: the agent is told, and says so in its last heartbeat. */
    | {
        readonly kind: "leaves";
        readonly host: string;
        readonly how: Leaving;
        readonly forMs: number;
      }
    /** Null: for good. */
    | { readonly kind: "revoked"; readonly host: string; readonly forMs: number | null }
    | { readonly kind: "away"; readonly host: string; readonly forMs: number }
    | { readonly kind: "dies" | "forgets"; readonly host: string }
    | { readonly kind: "cloned"; readonly host: string; readonly forMs: number }
    | { readonly kind: "disk-full"; readonly who: string; readonly forMs: number }
    | { readonly kind: "cache-down"; readonly host: string; readonly forMs: number }
    | { readonly kind: "wiped"; readonly downMs: number }
    | {
        readonly kind: "restored" | "set-back";
        readonly backupAtMs: number;
        readonly downMs: number;
      }
    | {
        readonly kind: "operator";
        readonly action: OperatorAction;
        /** Who is frozen, where it is not this host alone. */
        readonly freezes?: "channel" | "all";
        readonly channel: string;
        readonly host: string;
        readonly forMs: number | null;
      }
    /** Somebody between these hosts and the control plane tells them what it did not say, so often as `share`. */
    | {
        readonly kind: "lies";
        readonly lie: LieName;
        readonly hosts: readonly string[];
        readonly share: number;
        readonly forMs: number;
      }
    /** A mirror on the way to the control plane, or between it and these hosts. */
    | {
        readonly kind: "mirror-attacks";
        readonly attack: MirrorAttackName;
        readonly where: "origin" | "agents";
        readonly hosts: readonly string[];
        readonly forMs: number;
      }
  );

/** Whether there are two machines under this host's name at some time. */
export const isEverCloned = ({ faults }: Scenario, host: HostName): boolean =>
  faults.some((fault) => fault.kind === "cloned" && fault.host === host);

export const isEverRevoked = ({ faults }: Scenario, host: HostName): boolean =>
  faults.some((fault) => fault.kind === "revoked" && fault.host === host);

/** A quiet world: one channel, good releases, no faults. */
export function quietScenario(seed: number, random: SeededRandom, hosts: number): Scenario {
  const names = Array.from({ length: hosts }, (_, index) => `h-${index + 1}`);
  const waves = Math.min(3, hosts);
  return {
    seed,
    calmAtMs: 0,
    pollWaitSecs: 60,
    inFiles: false,
    isSigned: false,
    faults: [],
    hosts: names.map((name, index) => ({
      name,
      channel: "stable",
      wave: 1 + (index % waves),
      startsAtMs: random.between(0, 5000),
      wallOffMs: 0,
    })),
    releases: [
      {
        channel: "stable",
        version: "v1",
        atMs: 2000,
        soakSecs: 30,
        waves,
        policy: {},
        budgets: [],
        edges: [],
        after: [],
        behaviours: {},
      },
    ],
  };
}
