import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isChannel } from "@nixwave/effects";
import type { Repository } from "@nixwave/protocol";

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error &&
  "code" in cause &&
  (cause.code === "ENOENT" || cause.code === "ENOTDIR");

/** A directory as a repository of releases. What is missing is null or empty; what can't be read throws. */
export function releaseDirectory(dir: string): Repository {
  return {
    read: async (path) => {
      try {
        return await readFile(join(dir, path));
      } catch (cause) {
        if (isMissing(cause)) return null;
        throw cause;
      }
    },
    list: async (folder) => {
      try {
        const entries = await readdir(join(dir, folder), { withFileTypes: true });
        return entries.map(({ name }) => name);
      } catch (cause) {
        if (folder !== "" && isMissing(cause)) return [];
        throw cause;
      }
    },
  };
}

/** Changes when a channel comes or goes, or when its current.json is another file: a rename gives it a new inode. */
export async function fingerprintOf(dir: string): Promise<string> {
  const prints: string[] = [];
  for (const name of (await readdir(dir)).sort()) {
    if (!isChannel(name)) continue;
    try {
      const { mtimeMs, ino, size } = await stat(join(dir, name, "current.json"));
      prints.push(`${name} ${mtimeMs} ${ino} ${size}`);
    } catch (cause) {
      if (!isMissing(cause)) throw cause;
      prints.push(`${name} missing`);
    }
  }
  return prints.join("\n");
}
