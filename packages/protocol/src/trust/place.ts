import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Puts a file in place: its bytes are on the disk before its name is, and a reader sees the old or the new, never half. The name
 * itself is only sure to outlive a power cut after `syncFolder`.
 */
export async function place(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.new`;
  try {
    const file = await open(temporary, "w", 0o644);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
}

/** After this the names in a folder outlive a power cut; before it a rename may be taken back. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Null where there is no such file; every other failure is thrown. */
export async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw cause;
  }
}

/** The names in a folder; none where there is no such folder. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw cause;
  }
}

export const removeFile = (path: string): Promise<void> => rm(path, { force: true });

/** Whether the same bytes are there already. */
async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  const there = await readIfThere(path);
  return there !== null && Buffer.compare(there, bytes) === 0;
}

export async function placeIfOther(path: string, bytes: Uint8Array): Promise<void> {
  if (!(await holds(path, bytes))) await place(path, bytes);
}

export const isMissing = (cause: unknown): boolean =>
  cause instanceof Error &&
  "code" in cause &&
  (cause.code === "ENOENT" || cause.code === "ENOTDIR");

/** `a/b` of a repository as a path of this machine. */
export const inFolder = (folder: string, path: string): string => join(folder, ...path.split("/"));
