import { type Channel, err, ok, type Result } from "@nixwave/effects";
import { headSchema, RELEASE_FILE_BYTES_MAX } from "../release.ts";
import { currentPath, partPath } from "../releaseFiles.ts";
import { type TrustProblem, trustProblem } from "./attack.ts";
import { type FetchFile, fetchBytes, wrongBytes } from "./fetchFile.ts";
import { hashedTargetPath, metadataPath, targetPath } from "./layout.ts";
import { decodeMetadata, METADATA_BYTES_MAX, type Targets } from "./metadata.ts";
import { inFolder, placeIfOther, readIfThere, syncFolder } from "./place.ts";
import { isCompleteRoot } from "./signing.ts";
import type { Kept, Trusted } from "./trusted.ts";

type Done = Promise<Result<null, TrustProblem>>;
interface Digest {
  readonly length: number;
  readonly hashes: { readonly sha256: string };
}

/**
 * Copies a verified state byte for byte into a directory that can be served: targets first, the timestamp last, so that who
 * reads from it meanwhile sees the old state or the new. Gives the channels that could not be copied: their role's file stays away,
 * and no other channel waits for them. `whole` remembers parts that a call before this one has read and found whole.
 */
export async function mirror(
  trusted: Trusted,
  fetch: FetchFile,
  directory: string,
  whole: Set<string> = new Set(),
): Promise<Result<ReadonlyMap<Channel, TrustProblem>, TrustProblem>> {
  const to: Copy = { fetch, directory, whole };
  try {
    const roots = await copyRoots(to, trusted);
    if (!roots.ok) return roots;
    const fleet = await copyTargets(to, trusted.targets.file.signed);
    if (!fleet.ok) return fleet;
    const missed = new Map<Channel, TrustProblem>();
    for (const [channel, kept] of trusted.channels) {
      const copied = kept.ok ? await copyChannel(to, channel, kept.value) : kept;
      if (!copied.ok) missed.set(channel, copied.error);
    }
    for (const role of ["targets", "snapshot", "root", "timestamp"] as const) {
      const { file, bytes } = trusted[role];
      await put(to, metadataPath(role, file.signed.version), bytes);
    }
    await syncFolder(inFolder(directory, "metadata"));
    return ok(missed);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return err(trustProblem("unreadable", directory, `the mirror could not be written: ${why}`));
  }
}

interface Copy {
  readonly fetch: FetchFile;
  readonly directory: string;
  readonly whole: Set<string>;
}

const put = (to: Copy, path: string, bytes: Uint8Array): Promise<void> =>
  placeIfOther(inFolder(to.directory, path), bytes);

/**
 * Every root down from the trusted one, for agents that are years behind. Each must be what its successor says that it is: the
 * successor is signed by it.
 */
async function copyRoots(to: Copy, { root }: Trusted): Done {
  let newer = root.file;
  for (let version = newer.signed.version - 1; version >= 1; version -= 1) {
    const path = metadataPath("root", version);
    const there = await readIfThere(inFolder(to.directory, path));
    const fetched =
      there === null ? await fetchBytes(to.fetch, path, METADATA_BYTES_MAX.root) : ok(there);
    if (!fetched.ok) return fetched;
    // A source that threw its old roots away can still be mirrored from where it begins.
    if (fetched.value === null) return ok(null);
    const older = decodeMetadata("root", fetched.value);
    if (!older.ok) return err(trustProblem("malformed", path, older.error));
    if (older.value.signed.version !== version || !isCompleteRoot(newer, older.value)) {
      const reason = `did not sign its successor, root ${version + 1}`;
      return err(trustProblem("threshold-not-met", path, reason));
    }
    await put(to, path, fetched.value);
    newer = older.value;
  }
  return ok(null);
}

async function copyChannel(to: Copy, channel: Channel, { file, bytes }: Kept<Targets>): Done {
  const targets = await copyTargets(to, file.signed);
  if (!targets.ok) return targets;
  const parts = await copyParts(to, channel, file.signed);
  if (parts.ok) await put(to, metadataPath(channel, file.signed.version), bytes);
  return parts;
}

async function copyTargets(to: Copy, { targets }: Targets): Done {
  for (const [target, digest] of Object.entries(targets)) {
    const hashed = hashedTargetPath(target, digest.hashes.sha256);
    const bytes = await copyFile(to, hashed, digest);
    if (!bytes.ok) return bytes;
    await put(to, targetPath(target), bytes.value);
  }
  return ok(null);
}

/** Buckets and constraints of every head that the channel's role signs. */
async function copyParts(to: Copy, channel: Channel, { targets }: Targets): Done {
  for (const [target, digest] of Object.entries(targets)) {
    if (target === currentPath(channel)) continue;
    const head = await copyFile(to, hashedTargetPath(target, digest.hashes.sha256), digest);
    if (!head.ok) return head;
    const decoded = decodeHead(head.value);
    // A head of another schema version is served as it is; what it names is not ours to find.
    if (decoded === null) continue;
    for (const { length, sha256 } of [...decoded.buckets, decoded.constraints]) {
      const path = targetPath(partPath(channel, sha256));
      if (to.whole.has(path)) continue;
      const part = await copyFile(to, path, { length, hashes: { sha256 } });
      if (!part.ok) return part;
      to.whole.add(path);
    }
  }
  return ok(null);
}

/** From the mirror itself where it is whole, else from the source; never what was not signed. */
async function copyFile(
  to: Copy,
  path: string,
  digest: Digest,
): Promise<Result<Uint8Array, TrustProblem>> {
  const there = await readIfThere(inFolder(to.directory, path));
  if (there !== null && wrongBytes(there, digest) === null) return ok(there);
  const bytesMax = Math.min(digest.length + 1, RELEASE_FILE_BYTES_MAX);
  const fetched = await fetchBytes(to.fetch, path, bytesMax);
  if (!fetched.ok) return fetched;
  if (fetched.value === null) return err(trustProblem("missing", path, "is not there"));
  const wrong = wrongBytes(fetched.value, digest);
  if (wrong !== null) return err(trustProblem("wrong-length-or-hash", path, wrong));
  await put(to, path, fetched.value);
  return ok(fetched.value);
}

function decodeHead(bytes: Uint8Array) {
  try {
    const decoded = headSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    return decoded.success ? decoded.data : null;
  } catch {
    return null;
  }
}
