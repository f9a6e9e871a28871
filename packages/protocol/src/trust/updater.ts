import type { Instant } from "@nixwave/effects";
import { invariant } from "@nixwave/effects";
import type { Fetcher, Updater } from "tuf-js";
import type { Gate } from "./gate.ts";

/** More rotations than an agent can have missed; tuf-js stops at 256 by default. */
const ROOT_ROTATIONS_MAX = 1024;
/** A base for tuf-js, which only knows URLs; nothing ever asks for it. */
const BASE = "http://repository.invalid/";

/**
 * tuf-js over the gate. Imported when first needed: it takes 25 to 120 ms to load, and most of what `nixwave` is called for
 * verifies nothing.
 */
export async function makeUpdater(directory: string, gate: Gate, now: Instant): Promise<Updater> {
  const [{ Updater: TufUpdater }, { DownloadHTTPError }] = await Promise.all([
    import("tuf-js"),
    import("tuf-js/dist/error.js"),
  ]);
  const fetcher: Fetcher = {
    downloadBytes: async (url) => {
      const bytes = await gate.take(url.slice(BASE.length));
      // How tuf-js is told that there is no newer root.
      if (bytes === null) throw new DownloadHTTPError("no such file", 404);
      return Buffer.from(bytes);
    },
    downloadFile: async () => {
      throw new Error("targets are not downloaded through tuf-js");
    },
  };
  const updater = new TufUpdater({
    metadataDir: directory,
    metadataBaseUrl: `${BASE}metadata`,
    fetcher,
    config: { maxRootRotations: ROOT_ROTATIONS_MAX },
  });
  setReferenceTime(updater, new Date(now));
  return updater;
}

/**
 * tuf-js takes the time from `new Date()` and has no option for it. It keeps it in one field, set once in the constructor and
 * read at every check of an expiry; a test moves the clock both ways, so that a version that does otherwise is noticed.
 */
function setReferenceTime(updater: Updater, at: Date): void {
  const trusted: unknown = Reflect.get(updater, "trustedSet");
  invariant(typeof trusted === "object" && trusted !== null, "tuf-js keeps its trusted set");
  invariant(
    Reflect.get(trusted, "referenceTime") instanceof Date,
    "tuf-js keeps the time to check expiries by in its trusted set",
  );
  Reflect.set(trusted, "referenceTime", at);
}
