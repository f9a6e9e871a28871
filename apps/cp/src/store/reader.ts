import type {
  Channel,
  ClosureHash,
  Dispatch,
  Freeze,
  HostMarks,
  HostName,
  HostReport,
  HostRollout,
  HostState,
  Instant,
  JournalId,
  Offset,
  Rollout,
  RolloutId,
  RolloutState,
} from "@nixwave/effects";

/**
 * Reads of committed rows, over a connection of its own: never blocks the writer, never sees half a commit.
 * Whatever needs a decision (explainHost, waiting) is asked of `writer.fleet()` instead: the same gates, on read (hazard 72).
 */
export interface Reader {
  /** Newest first. */
  rollouts(filter: {
    readonly channel?: Channel;
    readonly state?: RolloutState;
  }): readonly Rollout[];
  rollout(rolloutId: RolloutId): Rollout | null;
  /** By host name, after `after`, at most `limit`. */
  recordsOf(rolloutId: RolloutId, page: HostPage): readonly HostRollout[];
  marksOf(rolloutId: RolloutId): readonly HostMarks[];
  /** Every record of a host, newest dispatch first. */
  recordsOfHost(host: HostName): readonly HostRollout[];
  dispatchesOfHost(host: HostName): readonly Dispatch[];
  /** Oldest first, after offset `after` (null: from the start). */
  transitions(filter: {
    readonly host: HostName;
    readonly rolloutId?: RolloutId;
    readonly after: Offset | null;
    readonly limit: number;
  }): readonly StoredTransition[];
  quarantines(): readonly Quarantine[];
  freezes(): readonly Freeze[];
  hosts(page: HostPage): readonly StoredHost[];
  host(host: HostName): StoredHost | null;
  /** One page of the log; `next` is where the next page begins, also when nothing matched. */
  events(filter: LogFilter, page: { readonly from: Offset; readonly limit: number }): LogPage;
  close(): void;
}

export interface HostPage {
  readonly after: HostName | null;
  readonly limit: number;
}

export interface StoredTransition {
  readonly offset: Offset;
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly from: HostState;
  readonly to: HostState;
  /** The CP's clock. */
  readonly at: Instant;
}

export interface Quarantine {
  readonly channel: Channel;
  readonly closure: ClosureHash;
  readonly since: Instant;
}

/** Observed, at most 30 s old: what the host last said of itself. */
export interface StoredHost {
  readonly host: HostName;
  readonly lastHeardAt: Instant;
  readonly report: HostReport | null;
  /** In the order in which they began; the last one is current. */
  readonly journals: readonly { readonly journalId: JournalId; readonly beganAt: Instant }[];
}

export interface LogFilter {
  readonly host?: HostName;
  readonly rolloutId?: RolloutId;
  readonly kind?: string;
}

export interface LogPage {
  /** Each line as it is stored, with its offset. */
  readonly lines: readonly { readonly offset: Offset; readonly line: string }[];
  readonly next: Offset;
  /** False where the page ends at the end of the log. */
  readonly more: boolean;
}
