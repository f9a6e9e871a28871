import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { err, ok, type Result } from "@nixwave/effects";
import { sha256 } from "../hash.ts";
import { TrustFailure, type TrustProblem, trustProblem } from "./attack.ts";
import { inFolder, isMissing } from "./place.ts";

/**
 * A file of a repository by its path, such as `metadata/timestamp.json`, as it arrives; null where there is none. It may
 * throw: that is `unreachable`, or what a TrustFailure says. A port that buffers stops beyond `bytesMax`. How long it may take is
 * the port's to limit: a mirror that trickles is only stopped by a deadline.
 */
export type FetchFile = (
  path: string,
  bytesMax: number,
) => Promise<AsyncIterable<Uint8Array> | null>;

/** Reads a file whole, and stops at the first byte above `bytesMax`. */
export async function fetchBytes(
  fetch: FetchFile,
  path: string,
  bytesMax: number,
): Promise<Result<Uint8Array | null, TrustProblem>> {
  try {
    const arriving = await fetch(path, bytesMax);
    if (arriving === null) return ok(null);
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of arriving) {
      length += chunk.length;
      if (length > bytesMax) {
        return err(trustProblem("endless-data", path, `more than ${bytesMax} bytes were sent`));
      }
      chunks.push(chunk);
    }
    return ok(Buffer.concat(chunks));
  } catch (cause) {
    if (cause instanceof TrustFailure) return err(cause.problem);
    const why = cause instanceof Error ? cause.message : String(cause);
    return err(trustProblem("unreachable", path, `could not be fetched: ${why}`));
  }
}

/** Looks whether bytes are those that were signed; null if they are. */
export function wrongBytes(
  bytes: Uint8Array,
  of: { readonly length: number; readonly hashes: { readonly sha256: string } },
): string | null {
  if (bytes.length !== of.length) return `has ${bytes.length} bytes, ${of.length} were signed`;
  return sha256(bytes) === of.hashes.sha256 ? null : "its bytes are not those that were signed";
}

/** A repository in a directory. */
export const fetchFromDirectory =
  (directory: string) =>
  async (path: string): Promise<AsyncIterable<Uint8Array> | null> => {
    try {
      const file = await open(inFolder(directory, path), "r");
      return createReadStream("", { fd: file });
    } catch (cause) {
      if (isMissing(cause)) return null;
      throw cause;
    }
  };

/** Long enough for 64 MiB over a slow line, short enough that a mirror that trickles is told from one that works. */
const FETCH_MS_MAX = 120_000;

/** A repository behind HTTP(S): every path relative to `base`. Mutual TLS is the matter of the `get` that is given. */
export function fetchFromUrl(
  base: string,
  get: (url: URL, init: { signal: AbortSignal }) => Promise<Response> = (url, init) =>
    globalThis.fetch(url, init),
): FetchFile {
  const root = new URL(base.endsWith("/") ? base : `${base}/`);
  return async (path) => {
    const url = new URL(path, root);
    const answer = await get(url, { signal: AbortSignal.timeout(FETCH_MS_MAX) });
    if (answer.status === 404 || answer.status === 403) {
      await answer.body?.cancel();
      return null;
    }
    if (answer.ok && answer.body !== null) return answer.body;
    await answer.body?.cancel();
    throw new Error(`${url.href} answered ${answer.status}`);
  };
}
