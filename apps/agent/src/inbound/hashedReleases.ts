import { ok } from "@nixwave/effects";
import { type ReadFile, type ReleaseFile, readReleaseForHost } from "@nixwave/protocol";
import type { ControlPlane } from "../controlPlane.ts";
import type { Journal } from "../journal/journal.ts";
import type { HostReleases } from "../releases.ts";

/**
 * Releases that only their hashes vouch for: they are what the dispatch names, and nobody says that it should be. For the
 * simulator, where signing would be most of a world's time, and for loopback until a root is configured.
 */
export function hashedReleases(journal: Journal, controlPlane: ControlPlane): HostReleases {
  const closed = new AbortController();
  const fetched = async (path: string): Promise<Uint8Array | null> => {
    const { journalId } = journal.facts();
    const call = await controlPlane.releaseFile(journalId, path, closed.signal);
    switch (call.kind) {
      case "answered":
        return call.value;
      case "problem":
        throw new Error(call.detail);
      case "unreachable":
        throw new Error(call.reason);
    }
  };
  return {
    find: async (wanted) => {
      const files: ReleaseFile[] = [];
      // Files are named by their hashes, so one that is kept is as good as one that is fetched.
      const read: ReadFile = async (path) => {
        const bytes = journal.releaseFile(path) ?? (await fetched(path));
        if (bytes !== null) files.push({ path, bytes });
        return bytes;
      };
      const release = await readReleaseForHost(read, wanted);
      return release.ok ? ok({ release: release.value, files }) : release;
    },
    refresh: null,
    state: null,
    trouble: null,
    close: () => closed.abort(),
  };
}
