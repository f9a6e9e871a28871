import type { HostName, Instant, Offset, RolloutId } from "@nixwave/effects";
import type { CrashPoint } from "./crashPoint.ts";

/** What the control plane takes from the world, so that a test or a simulator can stand in for it. */

/** Whole milliseconds since the epoch; the writer stamps each batch once with it. */
export interface Clock {
  now(): Instant;
}

/** Calls back once, at or soon after `instant`; the answer cancels it. */
export interface Timer {
  at(instant: Instant, call: () => void): () => void;
  /** Calls back once, after the input that is ready by now was read: what came together is then decided together. */
  soon(call: () => void): void;
}

export interface Random {
  bytes(count: number): Uint8Array;
}

/** Places at which a test kills the process; does nothing in production. */
export interface Crash {
  point(name: CrashPoint): void;
}

/** Rollouts of which a commit has lines, each with the hosts that they are about. */
export type TouchedRollouts = ReadonlyMap<RolloutId, ReadonlySet<HostName>>;

/** What the writer tells the rest of the process, after a commit and never before it. */
export interface Notices {
  /** A dispatch can be taken by this host: wake its parked poll, and no other (hazard 77). */
  dispatchReady(host: HostName): void;
  /** Everything below `next` is on disk; the rollouts are those whose rows changed. For streams and followers. */
  committed(next: Offset, rollouts: TouchedRollouts): void;
}

export type LogFields = { readonly [name: string]: string | number | boolean | null };

/** A structured log, one line per change; pino fits behind it. */
export interface Logger {
  log(
    level: "trace" | "debug" | "info" | "warn" | "error",
    message: string,
    fields: LogFields,
  ): void;
}
