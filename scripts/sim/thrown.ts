import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import type { Violation } from "./world.ts";

const HERE = `${pathToFileURL(dirname(dirname(import.meta.dirname))).href}/`;

/** What is thrown in a world is a bug: nothing in it may throw through to whoever runs it. */
export function thrown(cause: unknown): Violation {
  if (!(cause instanceof Error)) return { invariant: "no-bug", detail: String(cause) };
  const frames = (cause.stack ?? "").split("\n");
  const ours = frames.find((frame) => frame.includes(HERE) && !frame.includes("/node_modules/"));
  const at = ours === undefined ? "" : ` ${ours.trim().replace(HERE, "")}`;
  return { invariant: "no-bug", detail: `${cause.name}: ${cause.message}${at}` };
}

export interface Strays {
  /** Rejects with the first of them, and never resolves. */
  readonly first: Promise<never>;
  /** Waits for what was left behind until now, stops listening, and says what was there. */
  readonly end: () => Promise<Violation | null>;
}

/**
 * What is thrown or rejected from now on where nobody catches it. Node would end the process over it, and tells it only between
 * two turns of its loop, of which a world in memory has none: so it is waited for, or the next world would be told to have it.
 */
export function listenForStrays(): Strays {
  let violation: Violation | null = null;
  const { promise: first, reject } = Promise.withResolvers<never>();
  // Whoever has no world any more to race it against has learned it from `end`.
  first.catch(() => {});
  const hear = (cause: unknown): void => {
    violation ??= thrown(cause);
    reject(cause);
  };
  process.on("unhandledRejection", hear);
  process.on("uncaughtException", hear);
  const end = async (): Promise<Violation | null> => {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    process.off("unhandledRejection", hear);
    process.off("uncaughtException", hear);
    return violation;
  };
  return { first, end };
}
