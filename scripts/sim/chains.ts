import { createHash } from "node:crypto";
import { decodeLine, storedLogLine } from "@nixwave/protocol";
import type { Db } from "./databases.ts";

/**
 * The streams in a log, line by line as they came: each event carries the hash of the one before it, or its stream has two
 * histories. Null where all continue; reckoned from the stored bytes alone, and not by the code that took them.
 */
export function brokenChain(db: Db): string | null {
  const ends = new Map<string, string>();
  const segments = db
    .prepare<[], { lines: string }>("SELECT lines FROM log_segments ORDER BY first_offset")
    .all();
  for (const text of segments.flatMap(({ lines }) => lines.split("\n"))) {
    // Most lines are no agent's, and reading each of them as such would take longer than the world.
    const isEvent = text.includes('"kind":"AgentEvent"');
    if (!isEvent && !text.includes('"kind":"EventRefused"')) continue;
    const line = storedLogLine.parse(JSON.parse(text));
    if (line.kind !== "AgentEvent" && line.kind !== "EventRefused") continue;
    const key = `${line.host} ${line.rolloutId} ${line.journalId}`;
    if (line.kind === "EventRefused") {
      if (line.code !== "unknown-rollout") ends.set(key, line.sha256);
      continue;
    }
    const decoded = decodeLine(line.line);
    const prev = decoded.ok ? decoded.value.prev : null;
    if (prev !== (ends.get(key) ?? null))
      return `event ${line.seq} of ${key} does not continue what was taken before it`;
    ends.set(key, createHash("sha256").update(line.line).digest("hex"));
  }
  return null;
}
