import { type Channel, isChannelRef, isSha256 } from "@nixwave/effects";
import { FLEET, type Metadata } from "./metadata.ts";

/**
 * A repository by path: `metadata/` as TUF lays it out with consistent snapshots, `targets/` with the files, `pending/` with what
 * still lacks signatures and that no client reads.
 */
export const metadataPath = (role: string, version: number): string =>
  role === "timestamp" ? "metadata/timestamp.json" : `metadata/${version}.${role}.json`;
export const pendingPath = (role: string): string => `pending/${role}.json`;
export const targetPath = (target: string): string => `targets/${target}`;

/** A target under its hash: a new `current.json` lies beside the old one until the timestamp names it. */
export function hashedTargetPath(target: string, sha256: string): string {
  const slash = target.lastIndexOf("/") + 1;
  return `targets/${target.slice(0, slash)}${sha256}.${target.slice(slash)}`;
}

export type FleetFile = "hosts.json" | "enrolment.json" | "revocations.json";
export const fleetTarget = (file: FleetFile): string => `${FLEET}/${file}`;

/** A release head or current.json: what a channel's role signs. */
export const isChannelTarget = (path: string, channel: string): boolean => {
  const base = baseIn(path, channel);
  return base === "current" || (base !== null && isChannelRef(base));
};
/** A bucket or the constraints: named by their hash, and vouched for by a head. */
export const isPartPath = (path: string, channel: Channel): boolean => {
  const base = baseIn(path, channel);
  return base !== null && isSha256(base);
};

const baseIn = (path: string, folder: string): string | null =>
  path.startsWith(`${folder}/`) && path.endsWith(".json")
    ? path.slice(folder.length + 1, -".json".length)
    : null;

/** The bytes of a metadata file. */
export const metadataBytes = ({ signed, signatures }: Metadata<unknown>): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify({ signed, signatures }, null, 1)}\n`);
