import type { Channel, ChannelRef, ClosureHash, HostName, RolloutId } from "./ids.ts";
import type { Instant } from "./time.ts";

/**
 * What the signed release says, as the pure code reads it. Its bytes, schemas and verification are packages/protocol's;
 * nothing here is trusted before `Verified<Release>` was made there.
 */
export type OnHealthFailure = "rollback-and-halt" | "halt";

/** The only source of every decision that an agent takes alone. Durations are seconds. */
export interface Policy {
  readonly onHealthFailure: OnHealthFailure;
  readonly healthFailureThresholdSecs: number;
  readonly activationTimeoutSecs: number;
  readonly realiseTimeoutSecs: number;
  readonly rollbackTimeoutSecs: number;
  readonly probeReportSecs: number;
  readonly lostSecs: number;
  readonly offlineGraceSecs: number;
  readonly maxFailures: number;
  readonly deferredCounts: "waiting" | "done";
}

/** What the verified release says of one host, kept in its record so that no later release changes it. */
export interface Terms {
  readonly policy: Policy;
  readonly wave: number;
  readonly soakSecs: number;
  /** What the target must consist of, compared before the profile is set; null where the release gives none. */
  readonly closureDigest: string | null;
}

export interface Wave {
  readonly index: number;
  readonly soakSecs: number;
  readonly description: string;
}

/** A channel waits for a channel: `gated` moves only once `gating` is Completed for its current ref. */
export interface ChannelEdge {
  readonly gates: Channel;
  readonly gated: Channel;
  readonly reason: string;
}

/** A host waits for a host of the same release. */
export interface HostEdge {
  readonly gates: HostName;
  readonly gated: HostName;
  readonly reason: string;
}

/** At most `maxInFlight` of `hosts` hold a slot at once. Budgets of one name are one budget across rollouts. */
export interface Budget {
  readonly name: string;
  readonly hosts: readonly HostName[];
  readonly maxInFlight: number;
}

export interface ReleaseHost {
  readonly host: HostName;
  readonly system: string;
  readonly closure: ClosureHash;
  readonly wave: number;
  readonly tags: readonly string[];
  readonly closureDigest: string | null;
}

/** Head, buckets and constraints of one verified release, read together. `hosts` is sorted by (wave, host). */
export interface Release {
  readonly rolloutId: RolloutId;
  readonly channel: Channel;
  readonly ref: ChannelRef;
  readonly revision: string | null;
  readonly createdAt: Instant;
  readonly createdBy: string;
  readonly note: string;
  readonly waves: readonly Wave[];
  readonly policy: Policy;
  readonly channelEdges: readonly ChannelEdge[];
  readonly hosts: readonly ReleaseHost[];
  readonly budgets: readonly Budget[];
  readonly edges: readonly HostEdge[];
}
