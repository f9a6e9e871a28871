import { ok } from "@nixwave/effects";
import {
  HEADER,
  RELEASE_FILE_BYTES_MAX,
  type ReadFile,
  type ReleaseFile,
  readReleaseForHost,
} from "@nixwave/protocol";
import type { Journal } from "../journal/journal.ts";
import { CALLED_OFF, type Http } from "../ports.ts";
import type { HostReleases } from "../releases.ts";

/** Minutes of a simulated network. */
const ANSWER_WITHIN_MS = 30_000;

/**
 * Releases that only their hashes vouch for: they are what the dispatch names, and nobody says that it should be. For the
 * simulator alone, where signing would be most of a world's time: no control plane serves files so, and the agent's program never asks.
 */
export function hashedReleases(journal: Journal, http: Http): HostReleases {
  const closed = new AbortController();
  const fetched = async (path: string): Promise<Uint8Array | null> => {
    const { journalId } = journal.facts();
    const { status, body } = await http.request({
      method: "GET",
      url: `http://simulated/v1/releases/${path}`,
      headers: { [HEADER.journal]: journalId },
      body: null,
      timeoutMs: ANSWER_WITHIN_MS,
      answerBytesMax: RELEASE_FILE_BYTES_MAX,
      signal: closed.signal,
    });
    if (status === 200) return body;
    if (status === 404) return null;
    throw new Error(`${path} was answered ${status}`);
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
    close: () => closed.abort(CALLED_OFF),
  };
}
