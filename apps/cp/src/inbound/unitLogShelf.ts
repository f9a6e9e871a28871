import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type HostName, isInstant } from "@nixwave/effects";
import { attempt, hostName, rolloutIdText } from "@nixwave/protocol";
import { z } from "zod";
import { sha256 } from "../log/hash.ts";
import type { Logger } from "../ports.ts";
import type { UnitLog, UnitLogShelf } from "./unitLogs.ts";

const storedLogs: z.ZodType<readonly UnitLog[], unknown> = z.array(
  z.object({
    host: hostName,
    rolloutId: rolloutIdText,
    attempt,
    purpose: z.enum(["switch", "rollback"]),
    receivedAt: z.number().refine(isInstant),
    text: z.string(),
  }),
);

/** A host's name may be as long as a file's, and then there is no room for an ending: the file is named by its hash. */
const fileOf = (host: HostName): string => `${sha256(host)}.json`;
const SUFFIX = ".json";

/**
 * One file per host in a folder of the data directory. Not synced: a power cut may take the last ones, of which the hosts have the
 * originals. A disk that can't be written is said once, and nobody is refused for it.
 */
export function unitLogShelf(dir: string, log: Logger): UnitLogShelf {
  let complained = false;
  const complain = (cause: unknown): void => {
    if (complained) return;
    complained = true;
    log.log("warn", `units' output can't be kept in ${dir}: it is in memory only`, {
      cause: cause instanceof Error ? cause.message : String(cause),
    });
  };
  const tried = (act: () => void): void => {
    try {
      act();
      complained = false;
    } catch (cause) {
      complain(cause);
    }
  };
  return {
    load: () => namesIn(dir).flatMap((name) => readShelf(join(dir, name), log)),
    keep: (host, logs) =>
      tried(() => {
        mkdirSync(dir, { recursive: true, mode: 0o700 });
        const path = join(dir, fileOf(host));
        writeFileSync(`${path}.partial`, JSON.stringify(logs), { mode: 0o600 });
        renameSync(`${path}.partial`, path);
      }),
    drop: (host) => tried(() => rmSync(join(dir, fileOf(host)), { force: true })),
  };
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).filter((name) => name.endsWith(SUFFIX));
  } catch {
    return [];
  }
}

/** What can't be read is taken away: it would be in the way at each start, and the host has the original. */
function readShelf(path: string, log: Logger): readonly UnitLog[] {
  try {
    return storedLogs.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    log.log("warn", `${path}: this is no unit's output as it was kept, and was removed`, { why });
    rmSync(path, { force: true });
    return [];
  }
}
