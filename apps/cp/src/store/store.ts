import type {
  Channel,
  Dispatch,
  FleetChange,
  Freeze,
  GateName,
  HostMarks,
  HostName,
  HostReport,
  HostRollout,
  Instant,
  JournalId,
  Offset,
  Release,
  Rollout,
  RolloutId,
  Sha256,
} from "@nixwave/effects";
import type { LogHeadPosition } from "../log/segment.ts";
import type { Batch, StreamAdvanced } from "./change.ts";
import type { IdentityRecords } from "./identity.ts";
import type { Snapshot } from "./snapshot.ts";

/** What the writer needs of a database: narrow, so that SQLite, PostgreSQL or memory can stand behind it. */
export interface Store {
  /** Names the database in messages. */
  readonly place: string;
  /** One transaction: resolves when all of it is durable, rejects when nothing of it was done. */
  commit(batch: Batch): Promise<void>;
  /** Everything that the writer keeps in memory, as of the last commit. */
  load(): Promise<Loaded>;
  /** The hash of the segment that ends with each offset, where one does; of one that the log no longer has only that is known. */
  hashEndingAt(offsets: readonly Offset[]): Promise<KnownHeads>;
  /** The derived tables as of the last commit, for a checkpoint. */
  snapshot(): Promise<Snapshot>;
}

/** Log heads that agents reported, as the store knows them. */
export type KnownHeads = ReadonlyMap<Offset, Sha256 | "archived">;

export interface Loaded {
  readonly head: LogHeadPosition;
  readonly releases: readonly Release[];
  readonly channels: readonly LoadedChannel[];
  readonly rollouts: readonly Rollout[];
  readonly marks: readonly HostMarks[];
  readonly records: readonly HostRollout[];
  readonly dispatches: readonly Dispatch[];
  readonly quarantines: readonly Extract<FleetChange, { kind: "QuarantineInserted" }>[];
  readonly freezes: readonly Freeze[];
  readonly streams: readonly StreamAdvanced[];
  readonly gates: readonly {
    readonly rolloutId: RolloutId;
    readonly gate: GateName;
    readonly since: Instant;
  }[];
  readonly hosts: readonly LoadedHost[];
  readonly revoked: readonly HostName[];
  readonly identity: IdentityRecords;
  readonly replayGates: readonly { readonly channel: Channel; readonly since: Instant }[];
}

export interface LoadedChannel {
  readonly channel: Channel;
  readonly current: RolloutId | null;
  readonly verifiedAt: Instant | null;
  readonly unverified: { readonly reason: string; readonly since: Instant } | null;
}

export interface LoadedHost {
  readonly host: HostName;
  readonly lastHeardAt: Instant | null;
  readonly report: HostReport | null;
  readonly foreignHead: Sha256 | null;
  /** In the order in which they began; the last is current. */
  readonly journals: readonly { readonly journalId: JournalId; readonly beganAt: Instant }[];
}
