import type { Channel } from "@nixwave/effects";
import { hashedTargetPath, metadataBytes, metadataPath, targetPath } from "./layout.ts";
import type { Metadata, Targets } from "./metadata.ts";
import { inFolder, place, placeIfOther, readIfThere, syncFolder } from "./place.ts";
import type { Live, Pending } from "./repositoryState.ts";
import { authorityOf, isComplete } from "./signing.ts";

/**
 * Puts a complete state in place of the live one; nothing counts before `timestamp.json`, which is last. The versions that
 * changed, by role. A new root counts from the moment it is there, so it comes last of all where the new state is signed by the
 * old keys as well; where it can't be, a client may meet the new root with the old timestamp for a moment, and asks again.
 */
export async function publish(
  directory: string,
  live: Live,
  next: Live,
): Promise<ReadonlyMap<string, number>> {
  const changed = new Map<string, number>();
  const put = async (role: string, file: Metadata<{ version: number }>): Promise<void> => {
    const { version } = file.signed;
    await place(inFolder(directory, metadataPath(role, version)), metadataBytes(file));
    changed.set(role, version);
  };
  for (const [channel, file] of next.channels) {
    const before = live.channels.get(channel);
    if (file === before) continue;
    await plain(directory, before ?? null, file);
    await put(channel, file);
  }
  if (next.targets !== live.targets) {
    await plain(directory, live.targets, next.targets);
    await put("targets", next.targets);
  }
  if (next.snapshot !== live.snapshot) await put("snapshot", next.snapshot);
  const metadata = inFolder(directory, "metadata");
  // What the timestamp names must outlive what the timestamp outlives.
  await syncFolder(metadata);
  const rooted = next.root !== live.root;
  const rootLast = next.timestamp !== live.timestamp && countsUnder(live, next);
  if (rooted && !rootLast) await put("root", next.root);
  if (next.timestamp !== live.timestamp) await put("timestamp", next.timestamp);
  if (rooted && rootLast) await put("root", next.root);
  await syncFolder(metadata);
  return changed;
}

/** Whether clients that know only the old root take the new state too. */
const countsUnder = ({ root }: Live, next: Live): boolean =>
  (["targets", "snapshot", "timestamp"] as const).every((role) =>
    isComplete(next[role], authorityOf(role, root.signed, next.targets.signed)),
  );

/** Puts each new target under its plain name too: for people, for git, and for readers that know no TUF. */
async function plain(
  directory: string,
  before: Metadata<Targets> | null,
  after: Metadata<Targets>,
): Promise<void> {
  for (const [target, { hashes }] of Object.entries(after.signed.targets)) {
    if (before?.signed.targets[target]?.hashes.sha256 === hashes.sha256) continue;
    const bytes = await readIfThere(inFolder(directory, hashedTargetPath(target, hashes.sha256)));
    if (bytes !== null) await placeIfOther(inFolder(directory, targetPath(target)), bytes);
  }
}

/** What went live waits no more. */
export function clearPublished(pending: Pending, live: Live): void {
  const isOver = (
    file: Metadata<{ version: number }> | null,
    now: Metadata<{ version: number }> | undefined,
  ) => file !== null && now !== undefined && file.signed.version <= now.signed.version;
  if (isOver(pending.root, live.root)) pending.root = null;
  if (isOver(pending.targets, live.targets)) pending.targets = null;
  if (isOver(pending.snapshot, live.snapshot)) pending.snapshot = null;
  if (isOver(pending.timestamp, live.timestamp)) pending.timestamp = null;
  const over: Channel[] = [...pending.channels].flatMap(([channel, file]) =>
    isOver(file, live.channels.get(channel)) ? [channel] : [],
  );
  for (const channel of over) pending.channels.delete(channel);
}
