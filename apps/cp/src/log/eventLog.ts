import type { HostName, Offset, RolloutId, Sha256 } from "@nixwave/effects";
import type { SegmentRow } from "./segment.ts";

/**
 * The seam between the control plane and what keeps its log. Whoever appends has a transaction open, in which the derived rows of the
 * same lines are written too: the log is one more table of that transaction, and `ended` says what became of it.
 */
export interface EventLog {
  /** The lines of one commit; gives the first one's offset. Refuses a segment that does not continue what is there. */
  append(segment: SegmentRow): Offset;
  /** One page, oldest first. By host or rollout it goes by the index; a kind alone is looked for in every line. */
  read(filter: LogFilter, page: { readonly from: Offset; readonly limit: number }): LogPage;
  /** Segment after segment, from the one that holds `from`; one at a time in memory. */
  segments(from: Offset): Iterable<StoredSegment>;
  /** The first position that is still here; where the log is empty, the one that the next line gets. */
  beginsAt(): Offset;
  /** In the caller's transaction: takes away what lies before an offset, at which a segment begins. */
  dropBefore(offset: Offset): void;
  /** The transaction around the last `append` was committed, or nothing of it was done. */
  ended(how: "committed" | "undone"): void;
}

export interface LogFilter {
  readonly host?: HostName;
  readonly rolloutId?: RolloutId;
  readonly kind?: string;
}

export interface LogPage {
  /** Each line as it is stored, with its offset. */
  readonly lines: readonly { readonly offset: Offset; readonly line: string }[];
  /** Where the next page begins, also when nothing matched. */
  readonly next: Offset;
  /** False where the page ends at the end of the log. */
  readonly more: boolean;
}

export interface StoredSegment {
  readonly firstOffset: Offset;
  readonly count: number;
  readonly version: number;
  readonly lines: string;
  readonly prevHash: Sha256;
  readonly hash: Sha256;
}
