import type {
  Channel,
  ChannelRef,
  ClosureHash,
  HostName,
  Instant,
  Release,
  Result,
  RolloutId,
  Terms,
} from "@nixwave/effects";
import { z } from "zod";
import { channel, channelRef, closureHash, hostName, sha256Text } from "./ids.ts";
import { durationSecs, policySchema } from "./policy.ts";
import { instantText } from "./time.ts";
import type { TrustProblem } from "./trust/attack.ts";
import type { Verified } from "./verified.ts";

/** The one version of head, buckets and constraints that this code reads and writes. */
export const SCHEMA_VERSION = 1;
/** Buckets are the least power of two with at most so many hosts each on average: about 90 kB for an agent to fetch. */
export const BUCKET_HOSTS_MAX = 256;

/** No part of a release is larger; a file that is gets refused before it is parsed. */
export const RELEASE_FILE_BYTES_MAX = 64 * 1024 * 1024;
const WAVES_MAX = 1000;
const CRITICAL_MAX = 64;
const BUCKETS_MAX = 1 << 16;
const TAGS_MAX = 256;

const schemaVersion = z.literal(SCHEMA_VERSION, {
  error: `expected ${SCHEMA_VERSION}: another version takes another release of nixwave`,
});
const text = z.string().max(4096);
const digest = z
  .object({ length: z.int().min(0).max(RELEASE_FILE_BYTES_MAX), sha256: sha256Text })
  .readonly();
const edge = <T extends z.ZodType>(name: T) =>
  z.object({ gates: name, gated: name, reason: text }).readonly();

const TAG = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/;
export const isTag = (text: string): boolean => TAG.test(text);
export const tag = z.string().regex(TAG, {
  error: "expected a tag of 1 to 64 letters, digits, dots, _ and -",
});
export const system = z.string().regex(/^[a-z0-9_]{1,32}-[a-z0-9_]{1,32}$/, {
  error: "expected a system such as x86_64-linux",
});

/** SHA-256 over the closure's sorted lines `path narHash narSize`, in hex. */
export const closureDigest = z.string().regex(/^[0-9a-f]{64}$/, {
  error: "expected a SHA-256 of 64 lower-case hex digits",
});

/** `<channel>/current.json`: the last file of a release to be put in place. */
export const currentSchema = z.object({ channel, ref: channelRef }).readonly();

/**
 * `<channel>/<ref>.json`. Fields that are not here are ignored unless `critical` names them; every number is written
 * out, so that a default of this code never decides what a signed file means.
 */
export const headSchema = z
  .object({
    schemaVersion,
    channel,
    revision: text.nullable(),
    createdAt: instantText,
    createdBy: text,
    note: text,
    critical: z.array(z.string().max(64)).max(CRITICAL_MAX).readonly(),
    waves: z
      .array(
        z.object({ index: z.int().min(1), soakSecs: durationSecs, description: text }).readonly(),
      )
      .min(1)
      .max(WAVES_MAX)
      .readonly(),
    policy: policySchema,
    channelEdges: z.array(edge(channel)).readonly(),
    hostCount: z.int().min(1),
    buckets: z.array(digest).min(1).max(BUCKETS_MAX).readonly(),
    constraints: digest,
  })
  .readonly();
export type Head = z.output<typeof headSchema>;

export const releaseHostSchema = z
  .object({
    host: hostName,
    system,
    closure: closureHash,
    wave: z.int().min(1),
    tags: z.array(tag).max(TAGS_MAX).readonly(),
    closureDigest: closureDigest.nullable(),
  })
  .readonly();

export const bucketSchema = z
  .object({ schemaVersion, hosts: z.array(releaseHostSchema).readonly() })
  .readonly();

/** `constraints.json`, read by the CP only: selectors and percentages are resolved. */
export const constraintsSchema = z
  .object({
    schemaVersion,
    budgets: z
      .array(
        z
          .object({
            name: z.string().min(1).max(128),
            hosts: z.array(hostName).readonly(),
            maxInFlight: z.int().min(1),
          })
          .readonly(),
      )
      .readonly(),
    edges: z.array(edge(hostName)).readonly(),
  })
  .readonly();

/** What an agent reads of a release: the head and its own entry, nothing of other hosts. */
export interface HostRelease {
  readonly rolloutId: RolloutId;
  readonly channel: Channel;
  readonly ref: ChannelRef;
  readonly createdAt: Instant;
  readonly host: HostName;
  readonly closure: ClosureHash;
  readonly terms: Terms;
}

/** Why a release can't be used: `code` for machines, `reason` a sentence with the file. */
export interface ReleaseProblem {
  readonly code:
    | "missing"
    | "unreadable"
    | "wrong-length-or-hash"
    | "malformed"
    | "unknown-critical"
    | "wrong-channel"
    | "inconsistent"
    | "not-listed";
  readonly file: string;
  readonly reason: string;
}

/** What is wrong with a source of releases: an attack that was seen, or a fault. */
export type SourceProblem = Pick<TrustProblem, "code" | "file" | "reason">;

/** Where releases come from. Nothing that it gives is unverified; how it was verified is behind it. */
export interface ReleaseSource {
  /** The channels that the source has a release for; a problem is one of all channels. */
  channels(): Promise<Result<readonly Channel[], SourceProblem>>;
  /** The release that the channel's current.json names. */
  current(channel: Channel): Promise<Result<Verified<Release>, SourceProblem>>;
  /** Every release of the channel that the source still holds and that verifies, the oldest first: for recovery. */
  held(channel: Channel): Promise<Result<readonly Verified<Release>[], SourceProblem>>;
}
