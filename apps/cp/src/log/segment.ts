import {
  type HostName,
  invariant,
  isOffset,
  type Offset,
  type RolloutId,
  type Sha256,
} from "@nixwave/effects";
import { sha256 } from "./hash.ts";

/** A line of the log as it is stored, with the names under which it is found again. */
export interface LogText {
  readonly text: string;
  readonly host: HostName | null;
  readonly rolloutId: RolloutId | null;
}

/** One commit's lines. `lines` is NDJSON, each line ended by a newline; the hash covers the hash before and these bytes. */
export interface SegmentRow {
  readonly firstOffset: Offset;
  readonly count: number;
  /** Of the reducers that folded it. */
  readonly version: number;
  readonly lines: string;
  readonly prevHash: Sha256;
  readonly hash: Sha256;
  readonly index: readonly IndexRow[];
}

/** The first and last offset within one segment of the lines of one host and rollout; null where a line has none. */
export interface IndexRow {
  readonly host: HostName | null;
  readonly rolloutId: RolloutId | null;
  readonly firstOffset: Offset;
  readonly lastOffset: Offset;
}

/**
 * Raised by whoever changes what a stored line means to the fold, or what the fold writes; the start after that takes a checkpoint.
 * 2: the terms of a record have the digest of its closure.
 * 3: what a stream had before a newer acknowledgement is stepped also after it (docs/decisions/0033).
 * 4: what is acknowledged takes any later attempt, not the next alone (docs/decisions/0028); a host that is found carries the count of failures (0036).
 */
export const REDUCERS_VERSION = 4;

/** What stands before the first segment: the hash of nothing. */
export const GENESIS: Sha256 = sha256("");

/** The chain: over the previous hash, the place and the bytes, so that no segment can be changed, moved or left out. */
export const segmentHash = (segment: {
  readonly prevHash: Sha256;
  readonly firstOffset: number;
  readonly version: number;
  readonly lines: string;
}): Sha256 =>
  sha256(`${segment.prevHash}\n${segment.firstOffset} ${segment.version}\n${segment.lines}`);

export interface LogHeadPosition {
  /** The offset that the next line gets. */
  readonly next: Offset;
  /** The newest line's offset, or null while the log is empty. */
  readonly last: Offset | null;
  readonly hash: Sha256;
}

/** Makes one commit's segment; its lines take the offsets from `head.next` on. */
export function makeSegment(head: LogHeadPosition, texts: readonly LogText[]): SegmentRow {
  const { next: firstOffset, hash: prevHash } = head;
  const lines = texts.map(({ text }) => `${text}\n`).join("");
  const version = REDUCERS_VERSION;
  return {
    firstOffset,
    count: texts.length,
    version,
    lines,
    prevHash,
    hash: segmentHash({ prevHash, firstOffset, version, lines }),
    index: indexOf(firstOffset, texts),
  };
}

export function offsetAfter(first: Offset, count: number): Offset {
  const after = first + count;
  invariant(isOffset(after), "offsets are whole numbers");
  return after;
}

function indexOf(firstOffset: Offset, texts: readonly LogText[]): readonly IndexRow[] {
  const rows = new Map<string, IndexRow>();
  texts.forEach(({ host, rolloutId }, place) => {
    const key = `${host ?? ""} ${rolloutId ?? ""}`;
    const at = offsetAfter(firstOffset, place);
    const known = rows.get(key);
    rows.set(key, { host, rolloutId, firstOffset: known?.firstOffset ?? at, lastOffset: at });
  });
  return [...rows.values()];
}

/** Where a log begins. */
export const FIRST_OFFSET: Offset = firstOffset();

function firstOffset(): Offset {
  const first = 0;
  invariant(isOffset(first), "offsets begin at 0");
  return first;
}

export const EMPTY_LOG: LogHeadPosition = { next: FIRST_OFFSET, last: null, hash: GENESIS };

export const headAfter = ({ firstOffset, count, hash }: SegmentRow): LogHeadPosition => ({
  next: offsetAfter(firstOffset, count),
  last: offsetAfter(firstOffset, count - 1),
  hash,
});
