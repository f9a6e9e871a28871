import type {
  Channel,
  FleetChange,
  GateName,
  HostName,
  HostReport,
  HostState,
  Instant,
  JournalId,
  Offset,
  Release,
  RolloutId,
  Seq,
  Sha256,
} from "@nixwave/effects";
import type { SegmentRow } from "../log/segment.ts";
import type { StoredCertificate, StoredNonce } from "./identity.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * What one line changes: rows of the derived tables, and with the FleetChange among them the FleetState in memory. One list
 * for both, so that memory and disk can't be told different things (hazard 62).
 */
export type DerivedChange = FleetChange | TransitionRecorded | StreamAdvanced | GateMoved;

interface TransitionRecorded {
  readonly kind: "TransitionRecorded";
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly from: HostState;
  readonly to: HostState;
  readonly at: Instant;
}

/** A line of this stream was consumed, refused ones too; the next one must carry `lastHash`. */
export interface StreamAdvanced {
  readonly kind: "StreamAdvanced";
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly journalId: JournalId;
  readonly lastSeq: Seq;
  readonly lastHash: Sha256;
}

/** The gate began to hold hosts of this rollout, or `since` null: it holds none any more. */
interface GateMoved {
  readonly kind: "GateMoved";
  readonly rolloutId: RolloutId;
  readonly gate: GateName;
  readonly since: Instant | null;
}

/** A derived change with the offset of the line that made it. */
export interface Stamped {
  readonly offset: Offset;
  readonly change: DerivedChange;
}

/** Rows that no line stands behind: what was heard, verified or set from outside. */
export type Observation =
  | {
      readonly kind: "HostSeen";
      readonly host: HostName;
      readonly lastHeardAt: Instant;
      readonly report: HostReport | null;
      /** A log head that the host was shown by a CP whose log is not this one; kept so that it is noticed once. */
      readonly foreignHead: Sha256 | null;
    }
  | {
      readonly kind: "JournalBegan";
      readonly host: HostName;
      readonly journalId: JournalId;
      readonly at: Instant;
    }
  | { readonly kind: "ReleaseStored"; readonly release: Release }
  | { readonly kind: "ReplayGateSet"; readonly channel: Channel; readonly since: Instant | null }
  | { readonly kind: "RevocationsReplaced"; readonly revoked: readonly HostName[] }
  | { readonly kind: "NonceReserved"; readonly nonce: StoredNonce }
  | {
      readonly kind: "CertificateIssued";
      readonly certificate: StoredCertificate;
      /** The nonce that this certificate answers. */
      readonly nonce: string | null;
    }
  | { readonly kind: "TokenUsed"; readonly hash: Sha256; readonly at: Instant };

/** Everything that one commit writes, as plain data: one transaction, or nothing of it. */
export interface Batch {
  readonly segment: SegmentRow | null;
  readonly changes: readonly Stamped[];
  readonly observations: readonly Observation[];
  /** The segment begins with the Checkpoint of these tables, which are stored beside it. */
  readonly checkpoint: { readonly at: Instant; readonly snapshot: Snapshot } | null;
  /** Everything before this offset is in an archive, and goes. A checkpoint is there. */
  readonly dropBefore: Offset | null;
}
