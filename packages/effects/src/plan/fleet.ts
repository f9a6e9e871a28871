import type { HostRollout } from "../host/state.ts";
import type { Channel, ClosureHash, HostName, JournalId, RolloutId } from "../ids.ts";
import { invariant } from "../invariant.ts";
import type { Release } from "../release.ts";
import type { FailureCount, Freeze } from "../rollout/input.ts";
import type { HostMarks, Rollout } from "../rollout/state.ts";
import type { Instant } from "../time.ts";
import type { FleetChange, HostReport } from "./change.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Plan } from "./plan.ts";
import type { Waiting } from "./waiting.ts";

/** What the CP knows of a host beside its records. */
export interface HostSight {
  readonly host: HostName;
  readonly journalId: JournalId | null;
  readonly lastHeardAt: Instant | null;
  /** The last heartbeat, and when it came. */
  readonly report: HostReport | null;
  readonly reportAt: Instant | null;
  readonly revoked: boolean;
}

/** How far a wave is; `proven` hosts are Converged (or Deferred where that counts). */
export interface WaveTally {
  readonly wave: number;
  readonly hosts: number;
  readonly done: number;
  readonly proven: number;
  readonly complete: boolean;
}

/** What a plan looks at, kept with its indices by `apply` and by nothing else. Absent things are null. */
export interface Fleet {
  readonly readyAt: Instant;
  apply(change: FleetChange): void;
  /** Call it right after `plan`, before applying what the plan yields: stores why hosts wait, and forgets what was touched. */
  planned(plan: Plan): void;
  /** In topological order of the current releases' channel edges, then by name. */
  channels(): readonly Channel[];
  /** What the channel is to run: the current release, unless it is not newer than one opened; then the newest opened. */
  currentRelease(channel: Channel): Release | null;
  release(rolloutId: RolloutId): Release | null;
  rollout(rolloutId: RolloutId): Rollout | null;
  /** Oldest release first. */
  rolloutsOf(channel: Channel): readonly Rollout[];
  /** The one that is planned: created last of those opened. */
  newestRollout(channel: Channel): Rollout | null;
  hostNames(): Iterable<HostName>;
  host(host: HostName): HostSight | null;
  record(rolloutId: RolloutId, host: HostName): HostRollout | null;
  recordsOf(host: HostName): readonly HostRollout[];
  /** `noMarks` where there are none. */
  marks(rolloutId: RolloutId, host: HostName): HostMarks;
  /** The latest of this host in this rollout. */
  dispatch(rolloutId: RolloutId, host: HostName): Dispatch | null;
  /** The one to hand out, or null. */
  openDispatch(host: HostName): Dispatch | null;
  openDispatches(rolloutId: RolloutId): readonly Dispatch[];
  quarantinedSince(channel: Channel, closure: ClosureHash): Instant | null;
  quarantines(): readonly {
    readonly channel: Channel;
    readonly closure: ClosureHash;
    readonly since: Instant;
  }[];
  freezes(): readonly Freeze[];
  unverified(channel: Channel): { readonly reason: string; readonly since: Instant } | null;
  failures(rolloutId: RolloutId): FailureCount;
  waves(rolloutId: RolloutId): readonly WaveTally[];
  /** Hosts that hold a slot of the budget now, over all rollouts, by name. */
  holders(budget: string): readonly HostName[];
  /** As of the last plan that looked at the host; `explainHost` computes it afresh. */
  waiting(rolloutId: RolloutId): readonly Waiting[];
}

/** Being written: it will implement all of Fleet. Code against Fleet until then. */
export class FleetState {
  readonly readyAt: Instant;
  constructor(readyAt: Instant) {
    invariant(readyAt >= 0, "being written");
    this.readyAt = readyAt;
  }
}
