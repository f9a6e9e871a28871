import { createHash } from "node:crypto";
import {
  type HostName,
  invariant,
  isSha256,
  type Offset,
  type RolloutId,
  type Sha256,
} from "@nixwave/effects";

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

/** Raised by whoever changes what a stored line means to the fold. */
export const REDUCERS_VERSION = 1;

export function sha256(bytes: string | Uint8Array): Sha256 {
  const hex = createHash("sha256").update(bytes).digest("hex");
  invariant(isSha256(hex), "a SHA-256 has 64 hex digits");
  return hex;
}

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
  readonly hash: Sha256;
}
