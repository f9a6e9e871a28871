import type { EmitLog } from "@nixwave/effects";
import { pino, stdTimeFunctions } from "pino";

export interface Logs {
  write(line: EmitLog): void;
  /** What went wrong: one line per change, not one per try. */
  trouble(message: string, cause: unknown): void;
}

/** A cause that repeats itself is said again after so long only. */
const REPEAT_EVERY_MS = 10 * 60 * 1000;

export function jsonLogs(now: () => number): Logs {
  const logger = pino({
    base: null,
    level: process.env["NIXWAVE_LOG"] ?? "info",
    timestamp: stdTimeFunctions.isoTime,
  });
  const said = new Map<string, number>();
  return {
    write: ({ level, target, message, fields }) => {
      logger[level]({ target, ...Object.fromEntries(fields) }, message);
    },
    trouble: (message, cause) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const key = `${message}: ${reason}`;
      const last = said.get(key);
      if (last !== undefined && now() - last < REPEAT_EVERY_MS) return;
      // Reasons hold ids and numbers: the memory of them must not grow for ever.
      if (said.size > 100) said.clear();
      said.set(key, now());
      logger.warn({ target: "agent", reason }, message);
    },
  };
}
