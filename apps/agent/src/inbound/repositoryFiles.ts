import { type FetchFile, TrustFailure, trustProblem } from "@nixwave/protocol";
import type { ControlPlane } from "../controlPlane.ts";
import type { Journal } from "../journal/journal.ts";

/** The repository as the control plane serves it on. It vouches for nothing: whatever comes is verified. */
export function repositoryFiles(
  journal: Journal,
  controlPlane: ControlPlane,
  signal: AbortSignal,
): FetchFile {
  return async (path, bytesMax) => {
    const { journalId } = journal.facts();
    const call = await controlPlane.repositoryFile(journalId, path, { bytesMax, signal });
    switch (call.kind) {
      case "answered":
        return call.value === null ? null : once(call.value);
      case "problem":
        throw new Error(call.detail);
      case "unreachable":
        throw new Error(call.reason);
      case "too-long": {
        const reason = `more than ${call.bytesMax} bytes were sent`;
        throw new TrustFailure(trustProblem("endless-data", path, reason));
      }
    }
  };
}

export async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
