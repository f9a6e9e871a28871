import type { HostRollout, RolloutId } from "@nixwave/effects";
import type { CrashPoint } from "./crashPoint.ts";

/**
 * What the agent knows the world by. main.ts makes the real ones from perform/; tests hand in others. Nothing outside the
 * adapters' folders imports node:fs, child_process, http, timers or undici (scripts/tidy.test.ts holds it).
 */
export interface Ports {
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  readonly http: Http;
  readonly process: Process;
  readonly disk: Disk;
  readonly crash: Crash;
}

/** Two readings that are never mixed outside steadyClock.ts: the wall may jump, the monotonic one only goes on. */
export interface Clock {
  /** Milliseconds since the epoch. */
  wallMs(): number;
  /** Milliseconds since some instant of this process; goes forward only. */
  monotonicMs(): number;
}

/** Stops what was set; afterwards it does nothing. */
export type Cancel = () => void;

export interface Timer {
  /** Calls `fire` once, no sooner than after `ms`. It never keeps the process alive by itself. */
  after(ms: number, fire: () => void): Cancel;
}

/**
 * The reason of every abort of ours. Without one Node makes an error with a stack for each, even where all was over already: dearer
 * than most of what is called off.
 */
export const CALLED_OFF = new Error("called off");

/** Resolves after `ms`, or as soon as `signal` is aborted. */
export function pause(timer: Timer, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const stop = (): void => {
      cancel();
      resolve();
    };
    const cancel = timer.after(ms, () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    signal?.addEventListener("abort", stop, { once: true });
  });
}

export interface Random {
  /** From 0 up to but not including 1: jitter. */
  unit(): number;
  /** As many random bytes in lower-case hex: ids. */
  hex(bytes: number): string;
}

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  readonly timeoutMs: number;
  /** A longer answer is cut off as an error: nobody may fill our memory. */
  readonly answerBytesMax: number;
  readonly signal?: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** The answer was longer than it was allowed to be, and was cut off. */
export class AnswerTooLong extends Error {
  override readonly name = "AnswerTooLong";
}

export interface Http {
  /** Rejects where no answer came: refused, timed out, cut off (AnswerTooLong), aborted. Any status is an answer. */
  request(request: HttpRequest): Promise<HttpAnswer>;
}

/** In PEM. */
export interface ShownIdentity {
  readonly key: string;
  readonly certificate: string;
}

/** Connections to a CP that has to prove itself by the pinned CA. Neither CA nor certificate takes a restart to change. */
export interface Connection {
  /** Shows this host's certificate; while there is none it waits for one, as long as the request may take. */
  readonly http: Http;
  /** Shows none: how a host gets its first. */
  readonly anonymous: Http;
  /** One certificate of a CA, or several, in PEM. */
  pin(authorities: string): void;
  /** From the next request on; those under way finish as they were begun. */
  show(identity: ShownIdentity): void;
}

interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The whole process group is killed then (hazard 60). */
  readonly timeoutMs: number;
  /** Each of stdout and stderr is cut to its last so many bytes. */
  readonly outputBytesMax: number;
  readonly signal?: AbortSignal;
}

export type RunEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: string }
  | { readonly kind: "timed-out" }
  | { readonly kind: "aborted" }
  /** It never began: no such file, not executable. */
  | { readonly kind: "not-started"; readonly message: string };

export interface RunResult {
  readonly end: RunEnd;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Process {
  /** Runs argv in a process group of its own, without a shell. Never rejects. */
  run(argv: readonly string[], options: RunOptions): Promise<RunResult>;
}

export interface Disk {
  /** Null where there is no such file; any other failure throws with the path in its message. */
  readText(path: string): string | null;
  /** Written beside it, fsynced, renamed into place, and the folder fsynced. */
  writeAtomically(path: string, text: string): void;
  /** Nothing happens where there is no such file. */
  remove(path: string): void;
  freeBytes(path: string): number | null;
}

export interface Crash {
  /** In production: SIGKILL to the own process if NIXWAVE_CRASH_AT names this point. In tests it may throw. */
  at(point: CrashPoint): void;
}

/** What a worker reads before it does anything: the record as the journal has it now, or null. */
export type ReadRecord = (rolloutId: RolloutId) => HostRollout | null;
