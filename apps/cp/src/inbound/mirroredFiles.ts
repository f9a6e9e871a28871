import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The files of the repository as agents fetch them: null where there is none. Names have passed their route's schema. */
export interface MirroredFiles {
  metadata(file: string): Promise<Uint8Array | null>;
  /** `file` begins with the SHA-256 of its bytes. */
  target(folder: string, file: string): Promise<Uint8Array | null>;
}

/** The files of one release of 100,000 hosts, 512 buckets of about 90 kB, and room for its predecessor's. Files. */
const CACHED_MAX = 1200;

/**
 * The directory into which only `mirror` writes, and only what was verified. A target that no longer has the hash in its name is not
 * served; what was read once comes from memory, so that a fleet which asks for one bucket reads the disk once.
 */
export function directoryFiles(directory: string): MirroredFiles {
  const targets = new Map<string, Uint8Array>();
  const read = (path: string): Promise<Uint8Array | null> => readFile(path).catch(() => null);
  return {
    metadata: (file) => read(join(directory, "metadata", file)),
    target: async (folder, file) => {
      const path = join(directory, "targets", folder, file);
      const cached = targets.get(path);
      if (cached !== undefined) return cached;
      const bytes = await read(path);
      if (bytes === null) return null;
      const digest = createHash("sha256").update(bytes).digest("hex");
      if (!file.startsWith(digest)) return null;
      if (targets.size >= CACHED_MAX) targets.clear();
      targets.set(path, bytes);
      return bytes;
    },
  };
}
