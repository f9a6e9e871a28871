import type {
  ClosureHash,
  HostRollout,
  Instant,
  JournalId,
  RolloutId,
  Seq,
} from "@nixwave/effects";
import type { EventsAnswer, LogHead, ReleaseFile } from "@nixwave/protocol";
import type { Baseline, Hold } from "./facts.ts";

/** What an input changes in the journal besides the effects of a step, in the same transaction. */
export type Change =
  | { readonly kind: "RecordPut"; readonly record: HostRollout; readonly acknowledged: boolean }
  | { readonly kind: "NewestAcknowledged"; readonly createdAt: Instant }
  | { readonly kind: "KnownGoodAdded"; readonly closure: ClosureHash }
  | {
      readonly kind: "ReleaseKept";
      readonly rolloutId: RolloutId;
      readonly files: readonly ReleaseFile[];
    }
  | { readonly kind: "LinesAcked"; readonly streams: EventsAnswer["streams"] }
  | { readonly kind: "LinesReplayed"; readonly from: { readonly [rolloutId: RolloutId]: Seq } }
  | { readonly kind: "LogHeadSeen"; readonly logHead: LogHead }
  | { readonly kind: "BaselinePut"; readonly baseline: Baseline }
  | { readonly kind: "MetadataSeen"; readonly signedAt: Instant }
  | { readonly kind: "HoldPut"; readonly hold: Hold | null }
  | { readonly kind: "FirstBooted" }
  /** Records and outbox are forgotten under a new id; what is known of the host as a whole stays. */
  | { readonly kind: "JournalBegun"; readonly journalId: JournalId };
