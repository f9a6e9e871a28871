import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Instant } from "@nixwave/effects";
import { type FetchFile, fetchFromDirectory, fetchFromUrl } from "@nixwave/protocol";
import { gitOrigin } from "./gitOrigin.ts";
import type { RepositoryPlace } from "./place.ts";

/** The repository that is mirrored. Nothing of it is believed. */
export interface Origin {
  readonly fetch: FetchFile;
  /** Changes when there may be something new, and is cheap to ask. Throws where the origin can't be reached. */
  print(now: Instant): Promise<string>;
}

/** A remote place is asked so often: a release waits for half of it on average, and 2 requests are nothing to a web server. */
export const REMOTE_SECS = 30;

export function originOf(place: RepositoryPlace, dataDir: string): Origin {
  switch (place.kind) {
    case "directory":
      return directoryOrigin(place.directory);
    case "url":
      return { fetch: fetchFromUrl(place.url), print: async (now) => String(remoteTurn(now)) };
    case "git":
      return gitOrigin(place, { directory: join(dataDir, "checkout"), turn: remoteTurn });
  }
}

const remoteTurn = (now: Instant): number => Math.floor(now / (REMOTE_SECS * 1000));

/** A new root makes the folder another one, everything else comes with a new timestamp.json: two `stat` tell. */
function directoryOrigin(directory: string): Origin {
  return {
    fetch: fetchFromDirectory(directory),
    print: async () => {
      const folder = await printOf(join(directory, "metadata"));
      return `${folder} ${await printOf(join(directory, "metadata", "timestamp.json"))}`;
    },
  };
}

async function printOf(path: string): Promise<string> {
  try {
    const { mtimeMs, ino, size } = await stat(path);
    return `${mtimeMs}/${ino}/${size}`;
  } catch (cause) {
    return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  }
}
