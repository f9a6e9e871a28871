import type { Channel, Release } from "@nixwave/effects";
import { type ReadFile, readCurrent, readRelease } from "../readRelease.ts";
import { hashedTargetPath, isChannelTarget, isPartPath, targetPath } from "./layout.ts";
import type { Metadata, Targets } from "./metadata.ts";
import { inFolder, readIfThere } from "./place.ts";

/**
 * The release that a channel's file makes current, live or waiting; null before the first one. Of the owner's own copy: by hash
 * and not by signature. A broken one is null too: a new release mends it.
 */
export async function releaseOf(
  directory: string,
  channel: Channel,
  { signed }: Metadata<Targets>,
): Promise<Release | null> {
  const read: ReadFile = async (path) => {
    if (isPartPath(path, channel)) return await readIfThere(inFolder(directory, targetPath(path)));
    const entry = isChannelTarget(path, channel) ? signed.targets[path] : undefined;
    return entry === undefined
      ? null
      : await readIfThere(inFolder(directory, hashedTargetPath(path, entry.hashes.sha256)));
  };
  const ref = await readCurrent(read, channel);
  if (!ref.ok) return null;
  const release = await readRelease(read, { channel, ref: ref.value });
  return release.ok ? release.value.value : null;
}

/** The bytes of a file of `fleet/` as a targets file names it; null if it names none, or its bytes are gone. */
export async function fleetFileOf(
  directory: string,
  target: string,
  { signed }: Metadata<Targets>,
): Promise<Uint8Array | null> {
  const entry = signed.targets[target];
  return entry === undefined
    ? null
    : await readIfThere(inFolder(directory, hashedTargetPath(target, entry.hashes.sha256)));
}
