import type { Channel, ChannelRef, HostName, Instant, RejectCode, Result } from "@nixwave/effects";
import type { Expiry, HostRelease, ReleaseFile, Verified } from "@nixwave/protocol";

/** What a dispatch names, for this host. */
export interface WantedRelease {
  readonly channel: Channel;
  readonly ref: ChannelRef;
  readonly host: HostName;
}

export interface FoundRelease {
  /** Only packages/protocol can make one: nothing else is ever activated (I1). */
  readonly release: Verified<HostRelease>;
  /** As they were received, to be kept: the same release needs no network again. */
  readonly files: readonly ReleaseFile[];
}

/** Why there is no such release for this host: a code for machines, a sentence with the file for people. */
export interface ReleaseRefusal {
  readonly code: RejectCode;
  readonly reason: string;
}

/** Where the agent's releases come from. Nothing that it gives is unverified; how it was verified is behind it. */
export interface HostReleases {
  /** The release that a dispatch names, verified at `now`. */
  find(wanted: WantedRelease, now: Instant): Promise<Result<FoundRelease, ReleaseRefusal>>;
  /** Looks for what is new; null where nothing can get old. What was verified before stays known if it fails. */
  readonly refresh: ((now: Instant) => Promise<Result<null, ReleaseRefusal>>) | null;
  /** Null until something was verified since the start, and where nothing is signed. */
  readonly state: TrustState | null;
  readonly trouble: TrustTrouble | null;
  /** Whoever waits for an answer gets none any more; an answer that comes all the same is not looked at. */
  close(): void;
}

/** What is trusted, as of the last refresh that succeeded: for people and for the clock. */
export interface TrustState {
  readonly verifiedAt: Instant;
  readonly rootVersion: number;
  /** When the newest timestamp was made, as its author's validity says; null where it does not. */
  readonly signedAt: Instant | null;
  /** When each role ends to be valid, the first to end first. */
  readonly expiries: readonly Expiry[];
}

/** The last thing that could not be trusted, until something newer is. */
export interface TrustTrouble extends ReleaseRefusal {
  readonly at: Instant;
}

/**
 * Whether another look may find something else: what is served can be mended, what was signed stays what it is. A refusal that may
 * pass is asked again by the CP after a while; one that may not, when the metadata change or an operator says so.
 */
export function mayPass(code: RejectCode): boolean {
  switch (code) {
    case "rollback":
    case "freeze-expired":
    case "mix-and-match":
    case "threshold-not-met":
    case "wrong-length-or-hash":
    case "endless-data":
    case "unknown-role":
    case "missing":
    case "unreadable":
    case "unreachable":
    case "no-root":
    case "future-dated":
    case "held":
      return true;
    case "wrong-channel":
    case "malformed":
    case "unknown-critical":
    case "inconsistent":
    case "not-listed":
    case "unsigned":
    case "not-as-signed":
      return false;
  }
}

/** Whether it is worth asking again at once: the file may only be late, and the dispatch's lease is short. */
export function isPassing(code: RejectCode): boolean {
  return code === "missing" || code === "unreadable" || code === "unreachable";
}
