import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Channel, Release } from "@nixwave/effects";
import { type ReadFile, type ReleaseFile, readCurrent, readRelease } from "@nixwave/protocol";
import { Refusal, systemCode } from "../refusal.ts";

/** Reads a folder of releases by path; null where there is no such file. */
export const readerOf =
  (folder: string): ReadFile =>
  async (path) => {
    try {
      return new Uint8Array(await readFile(join(folder, path)));
    } catch (cause) {
      if (systemCode(cause) === "ENOENT") return null;
      throw cause;
    }
  };

/** What is current in a folder of unsigned releases. A broken one is no reason to stop: the new one mends it. */
export async function currentIn(
  folder: string,
  channel: Channel,
  shown: string,
): Promise<Release | null> {
  const read = readerOf(folder);
  const ref = await readCurrent(read, channel);
  if (!ref.ok) {
    if (ref.error.code === "unreadable") throw new Refusal(`${shown}/${ref.error.reason}.`);
    return null;
  }
  const release = await readRelease(read, { channel, ref: ref.value });
  return release.ok ? release.value.value : null;
}

/**
 * Puts files in place, each whole or not at all: written beside, fsynced, renamed. All that a `current.json` names is on
 * the disk before the first `current.json` is, so that whoever reads in between, or after a power cut, sees the old
 * releases or the new ones.
 */
export function publish(folder: string, releases: readonly (readonly ReleaseFile[])[]): void {
  const isCurrent = ({ path }: ReleaseFile): boolean => path.endsWith("/current.json");
  const files = releases.flat();
  const made: string[] = [];
  try {
    for (const file of files.filter((one) => !isCurrent(one))) put(folder, file, made);
    for (const file of files.filter(isCurrent)) put(folder, file, made);
  } catch (cause) {
    for (const beside of made) rmSync(beside, { force: true });
    throw new Refusal(
      `${folder} could not be written (${systemCode(cause)}), and what is current there was left as it was. Name a folder that you may write to, with room: --to DIR`,
    );
  }
}

function put(folder: string, { path, bytes }: ReleaseFile, made: string[]): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  const beside = `${file}.${randomBytes(4).toString("hex")}.new`;
  made.push(beside);
  const handle = openSync(beside, "wx", 0o644);
  try {
    for (let at = 0; at < bytes.length; at += writeSync(handle, bytes, at));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(beside, file);
  syncFolder(dirname(file));
}

/** The rename itself is in the folder, which has a page of its own to lose. */
function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
