import { createHash } from "node:crypto";
import {
  type Channel,
  type ChannelRef,
  type HostName,
  invariant,
  isChannelRef,
  type Release,
  rolloutId,
} from "@nixwave/effects";
import { z } from "zod";
import { sha256 } from "./hash.ts";
import {
  BUCKET_HOSTS_MAX,
  bucketSchema,
  constraintsSchema,
  currentSchema,
  headSchema,
  SCHEMA_VERSION,
} from "./release.ts";

/** A file of a release, by its path inside the repository. */
export interface ReleaseFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A release as files, in the order in which they are put in place: `current.json` last, so that it never names what is not there. */
export interface WrittenRelease {
  readonly release: Release;
  readonly files: readonly ReleaseFile[];
}

export const currentPath = (channel: Channel): string => `${channel}/current.json`;
export const headPath = (channel: Channel, ref: ChannelRef): string => `${channel}/${ref}.json`;
export const partPath = (channel: Channel, hash: string): string => `${channel}/${hash}.json`;

/** Names a head by its bytes. */
export function refOf(head: Uint8Array): ChannelRef {
  const ref = sha256(head).slice(0, 40);
  invariant(isChannelRef(ref), "the first 40 digits of a SHA-256 are a release ref");
  return ref;
}

/** The least power of two that puts at most BUCKET_HOSTS_MAX hosts into a bucket on average. */
export function bucketCount(hosts: number): number {
  let buckets = 1;
  while (hosts / buckets > BUCKET_HOSTS_MAX) buckets *= 2;
  return buckets;
}

/** The bucket of a host: the first bits of SHA-256 over its name. */
export function bucketOf(host: HostName, buckets: number): number {
  const bits = Math.log2(buckets);
  const first = createHash("sha256").update(host).digest().readUInt32BE(0);
  return bits === 0 ? 0 : first >>> (32 - bits);
}

/** By code units, so that the order is the same in every locale. */
export const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const utf8 = new TextEncoder();
const toBytes = (value: unknown, indent?: number): Uint8Array =>
  utf8.encode(`${JSON.stringify(value, null, indent)}\n`);

/** Writes head, buckets, constraints and current.json. The same release gives the same bytes. */
export function writeRelease(content: Omit<Release, "rolloutId" | "ref">): WrittenRelease {
  const { channel } = content;
  const hosts = [...content.hosts].sort((a, b) => a.wave - b.wave || byName(a.host, b.host));
  const parts = bucketsOf(hosts);
  const constraints = toBytes(
    z.encode(constraintsSchema, {
      schemaVersion: SCHEMA_VERSION,
      budgets: content.budgets,
      edges: content.edges,
    }),
  );
  const digest = (bytes: Uint8Array) => ({ length: bytes.length, sha256: sha256(bytes) });
  const head = toBytes(
    z.encode(headSchema, {
      schemaVersion: SCHEMA_VERSION,
      channel,
      revision: content.revision,
      createdAt: content.createdAt,
      createdBy: content.createdBy,
      note: content.note,
      critical: [],
      waves: content.waves,
      policy: content.policy,
      channelEdges: content.channelEdges,
      hostCount: hosts.length,
      buckets: parts.map(digest),
      constraints: digest(constraints),
    }),
    2,
  );
  const ref = refOf(head);
  const files = [...parts, constraints].map((bytes) => ({
    path: partPath(channel, sha256(bytes)),
    bytes,
  }));
  return {
    release: { ...content, hosts, ref, rolloutId: rolloutId(channel, ref) },
    files: [
      ...files,
      { path: headPath(channel, ref), bytes: head },
      { path: currentPath(channel), bytes: toBytes(z.encode(currentSchema, { channel, ref })) },
    ],
  };
}

/** Within a bucket hosts lie by name: whoever moves between waves changes one line, not the order. */
function bucketsOf(hosts: Release["hosts"]): Uint8Array[] {
  const buckets = Array.from(
    { length: bucketCount(hosts.length) },
    (): Release["hosts"][number][] => [],
  );
  for (const host of [...hosts].sort((a, b) => byName(a.host, b.host))) {
    buckets[bucketOf(host.host, buckets.length)]?.push(host);
  }
  return buckets.map((members) => {
    const bucket = z.encode(bucketSchema, { schemaVersion: SCHEMA_VERSION, hosts: members });
    return toBytes(bucket);
  });
}
