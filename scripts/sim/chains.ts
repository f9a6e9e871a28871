import { hash } from "node:crypto";

/** What is read of a line of the log; whoever wrote it has decoded all of it, and the fold that checks it does so again. */
type StoredLine =
  | {
      readonly kind: "AgentEvent";
      readonly host: string;
      readonly rolloutId: string;
      readonly journalId: string;
      readonly seq: number;
      readonly line: string;
    }
  | {
      readonly kind: "EventRefused";
      readonly host: string;
      readonly rolloutId: string;
      readonly journalId: string;
      readonly code: string;
      readonly sha256: string;
    };

/**
 * The streams in a log, line by line as they came: each event carries the hash of the one before it, or its stream has two
 * histories. Reckoned from the stored bytes alone, and not by the code that took them.
 */
export class Chains {
  readonly #ends = new Map<string, string>();

  /** One segment's lines, after all those before. Null where all continue. */
  broken(lines: string): string | null {
    for (const text of lines.split("\n")) {
      // Most lines are no agent's, and reading each of them as such would take longer than the world.
      const isEvent = text.includes('"kind":"AgentEvent"');
      if (!isEvent && !text.includes('"kind":"EventRefused"')) continue;
      const broken = this.#take(JSON.parse(text));
      if (broken !== null) return broken;
    }
    return null;
  }

  #take(line: StoredLine): string | null {
    const key = `${line.host} ${line.rolloutId} ${line.journalId}`;
    if (line.kind === "EventRefused") {
      if (line.code !== "unknown-rollout") this.#ends.set(key, line.sha256);
      return null;
    }
    const { prev }: { readonly prev: string | null } = JSON.parse(line.line);
    if (prev !== (this.#ends.get(key) ?? null))
      return `event ${line.seq} of ${key} does not continue what was taken before it`;
    this.#ends.set(key, hash("sha256", line.line));
    return null;
  }
}
