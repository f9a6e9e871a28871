import {
  addSecs,
  type Channel,
  type ClosureHash,
  type HostName,
  type Instant,
  type Policy,
  type Release,
  rolloutId,
} from "@nixwave/effects";
import { channelName, closure, hostName, policy, ref, START } from "../build.ts";

/** Every deadline of a small world lasts this long, so that one step of a clock passes all that were open. */
export const DEADLINE_SECS = 3000;
/** A step of a clock. An instant of one step ago has passed one deadline, of two steps ago also the longer silence of a probe. */
export const STEP_SECS = 4000;

/** Bugs to plant, so that it is proven that they would be found. */
export type Bug =
  /** A record that a newer dispatch ended still has its timer and takes its events. */
  | "superseded-timer"
  /** Whatever runs at the acknowledgement is taken as good to return to. */
  | "unproven-rollback"
  /** The planner is handed a fleet without its quarantines. */
  | "quarantine-not-loaded"
  /** The planner is handed a fleet whose releases have no budgets. */
  | "budget-not-loaded"
  /** The planner is handed a fleet whose releases have no edges between hosts, or none between channels. */
  | "host-edges-not-loaded"
  | "channel-edges-not-loaded"
  /** The planner is handed a fleet in which each gated host waits for one more, that no release lists. */
  | "edge-to-nobody"
  /** The outbox is emptied by the sending, not by the acknowledgement. */
  | "outbox-emptied-early";

export type OperatorAct =
  | "pause"
  | "resume"
  | "clear"
  | "cancel"
  | "advance"
  | "retry"
  | "lift"
  | "freeze"
  | "unfreeze"
  /** Retention, as the CP's own clockwork does it; it is no person, and as rare. */
  | "prune";

export type Spend = "faults" | "copies" | "acts";

/** One small world, and how much of what is not ordinary one path through it may use. */
export interface Setting {
  readonly name: string;
  readonly waves: readonly (readonly string[])[];
  /** Hosts that wait for another of their release. */
  readonly edges: readonly (readonly [gates: string, gated: string])[];
  /** The hosts of a second channel, whose one release waits for the first channel; none, no such channel. */
  readonly gated: readonly string[];
  /** Releases of the first channel, one after another; the first of them is there at the start, and so is the second channel's. */
  readonly releases: number;
  /** All releases name the same closure for a host: nothing but a quarantine tells them apart. */
  readonly sameClosure: boolean;
  /** At most so many hosts at once, or null. */
  readonly maxInFlight: number | null;
  readonly policy: Partial<Policy>;
  /** A component of the target can't be swapped live. */
  readonly needsBoot: boolean;
  readonly spend: { readonly [S in Spend]: number };
  readonly operators: readonly OperatorAct[];
  /** With so many events unsent a host's own steps wait for a batch, or Infinity. */
  readonly lagMax: number;
  /** Steps of a path, or null for all. */
  readonly depthMax: number | null;
  readonly bug: Bug | null;
}

export const setting = (name: string, over: Partial<Setting> = {}): Setting => ({
  name,
  waves: [["a", "b"]],
  edges: [],
  gated: [],
  releases: 1,
  sameClosure: false,
  maxInFlight: null,
  policy: {},
  needsBoot: false,
  spend: { faults: 1, copies: 0, acts: 0 },
  operators: [],
  lagMax: Number.POSITIVE_INFINITY,
  depthMax: null,
  bug: null,
  ...over,
});

export const CHANNEL: Channel = channelName("stable");
const GATED_CHANNEL: Channel = channelName("gated");
export const OLD: ClosureHash = closure("old");
const BUDGET = "all";
const REASON = "one after the other";

export const channelsOf = ({ gated }: Setting): readonly Channel[] =>
  gated.length === 0 ? [CHANNEL] : [CHANNEL, GATED_CHANNEL];

export const hostsOf = ({ waves, gated }: Setting): readonly HostName[] =>
  [...waves.flat(), ...gated].map(hostName).toSorted();

/** The numbers of the releases that are there once so many of the first channel have appeared. */
export const releasedBy = (world: Setting, released: number): readonly number[] => [
  ...Array.from({ length: released }, (_, nth) => nth),
  ...(released > 0 && world.gated.length > 0 ? [world.releases] : []),
];

/** The n-th release of the world, from 0: those of the first channel, and after them the one of the second. */
export function releaseOf(world: Setting, nth: number): Release {
  const isGated = nth >= world.releases;
  const channel = isGated ? GATED_CHANNEL : CHANNEL;
  const waves = isGated ? [world.gated] : world.waves;
  const digits = ref(String.fromCharCode("a".charCodeAt(0) + nth).repeat(7));
  const hosts = waves.flatMap((names, at) =>
    names.map((name) => ({
      host: hostName(name),
      system: "x86_64-linux",
      closure: closure(world.sameClosure ? `${name}-same` : `${name}-${nth + 1}`),
      wave: at + 1,
      tags: [],
      closureDigest: null,
    })),
  );
  return {
    rolloutId: rolloutId(channel, digits),
    channel,
    ref: digits,
    revision: null,
    createdAt: createdAt(nth),
    createdBy: "ci",
    note: "",
    waves: waves.map((_, at) => ({
      index: at + 1,
      soakSecs: DEADLINE_SECS,
      description: "",
    })),
    policy: { ...DEADLINES, ...world.policy },
    channelEdges: isGated ? [{ gates: CHANNEL, gated: GATED_CHANNEL, reason: REASON }] : [],
    hosts,
    budgets:
      world.maxInFlight === null
        ? []
        : [{ name: BUDGET, hosts: hosts.map(({ host }) => host), maxInFlight: world.maxInFlight }],
    edges: isGated
      ? []
      : world.edges.map(([gates, gated]) => ({
          gates: hostName(gates),
          gated: hostName(gated),
          reason: REASON,
        })),
  };
}

const createdAt = (nth: number): Instant => addSecs(START, -1_000_000 + nth);

const DEADLINES: Policy = policy({
  healthFailureThresholdSecs: DEADLINE_SECS,
  activationTimeoutSecs: DEADLINE_SECS,
  realiseTimeoutSecs: DEADLINE_SECS,
  rollbackTimeoutSecs: DEADLINE_SECS,
  probeReportSecs: DEADLINE_SECS,
  lostSecs: DEADLINE_SECS,
  offlineGraceSecs: DEADLINE_SECS,
});
