import { isChannel, rolloutId } from "../ids.ts";
import { invariant } from "../invariant.ts";
import type { Policy, Release } from "../release.ts";
import type { Instant } from "../time.ts";
import { channel, closure, host, ref } from "./controlPlane.fixture.ts";

/** A release in one line's worth of words. Hosts keep the order in which they are written. */
export interface Spec {
  readonly channel: string;
  readonly ref: string;
  readonly createdAt: Instant;
  readonly waves: readonly (readonly string[])[];
  readonly budgets?: readonly {
    readonly name: string;
    readonly max: number;
    readonly hosts: readonly string[];
  }[];
  readonly edges?: readonly { readonly gates: string; readonly gated: string }[];
  readonly after?: readonly string[];
  readonly policy?: Partial<Policy>;
  /** One closure for all, instead of one a host and release. */
  readonly closure?: string;
}

const POLICY: Policy = {
  onHealthFailure: "rollback-and-halt",
  healthFailureThresholdSecs: 60,
  activationTimeoutSecs: 900,
  realiseTimeoutSecs: 21_600,
  rollbackTimeoutSecs: 900,
  probeReportSecs: 60,
  lostSecs: 900,
  offlineGraceSecs: 3600,
  maxFailures: 0,
  deferredCounts: "waiting",
};

export function releaseOf(spec: Spec): Release {
  invariant(isChannel(spec.channel), `${spec.channel} is a channel`);
  const of = channel(spec.channel);
  return {
    rolloutId: rolloutId(of, ref(spec.ref)),
    channel: of,
    ref: ref(spec.ref),
    revision: null,
    createdAt: spec.createdAt,
    createdBy: "ci",
    note: "",
    waves: spec.waves.map((_, at) => ({ index: at + 1, soakSecs: 600, description: "" })),
    policy: { ...POLICY, ...spec.policy },
    channelEdges: (spec.after ?? []).map((gates) => ({
      gates: channel(gates),
      gated: of,
      reason: `${gates} first`,
    })),
    hosts: spec.waves.flatMap((names, at) =>
      names.map((name) => ({
        host: host(name),
        system: "x86_64-linux",
        closure: closure(spec.closure ?? `${name}-${spec.ref}`),
        wave: at + 1,
        tags: [],
        closureDigest: null,
      })),
    ),
    budgets: (spec.budgets ?? []).map(({ name, max, hosts }) => ({
      name,
      maxInFlight: max,
      hosts: hosts.map(host),
    })),
    edges: (spec.edges ?? []).map(({ gates, gated }) => ({
      gates: host(gates),
      gated: host(gated),
      reason: `${gates} first`,
    })),
  };
}
