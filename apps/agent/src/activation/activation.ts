import type { BootId, ClosureHash, Result, UnitSeen } from "@nixwave/effects";
import type { SystemClosures, UnitRef } from "./unit.ts";

/**
 * What a host's system can do, and nothing of when: one backend is chosen by configuration. Every method may be repeated
 * after a crash at any point of it. None decides; `observe` does.
 */
export interface Activation {
  readonly backend: "directory" | "nixos" | "profile";

  /** The kernel's id of this boot. */
  bootId(): Promise<BootId>;
  /** Read from the system each time; never remembered. */
  system(): Promise<SystemClosures>;

  /** Where a closure's files are: its declared probes are read there. */
  closurePath(closure: ClosureHash): string;

  /** Room for the closure and for its boot entry. A refusal may pass with time, and is asked again. */
  preflight(closure: ClosureHash): Promise<Result<null, Obstacle>>;
  /** One attempt to have the closure complete on this machine; the worker repeats it. */
  realise(wanted: WantedClosure, signal: AbortSignal): Promise<Result<null, Obstacle>>;
  /** Keeps the closure from garbage collection under one of three names, which a later pin of that name replaces. */
  pin(name: PinName, closure: ClosureHash): Promise<void>;
  pinned(name: PinName): Promise<ClosureHash | null>;

  /** `switch-to-configuration check`: what it refuses, it refuses before anything has changed. */
  check(closure: ClosureHash, signal: AbortSignal): Promise<CheckOutcome>;
  /** A component of the closure that can't be swapped live, compared by version and not by path (hazard 52); null: none. */
  needsBoot(closure: ClosureHash): Promise<string | null>;
  setProfile(closure: ClosureHash): Promise<void>;
  /** Makes the closure what the next boot starts, and looks that the entry is there (hazard 52). */
  stageBoot(closure: ClosureHash, signal: AbortSignal): Promise<Result<null, StageFailed>>;

  /** Starts the closure's `switch-to-configuration switch` outside the agent's life, with a deadline of its own (hazard 53). */
  fire(run: UnitRun): Promise<Result<null, FireRefused>>;
  /** What became of a unit. `unknown`: it was fired in an earlier boot, which took its outcome along. */
  unit(unit: UnitRef): Promise<UnitSeen>;
  /** Comes back when the unit no longer runs, or when `signal` is aborted; the caller then looks again. */
  ended(unit: UnitRef, signal: AbortSignal): Promise<void>;
  /** Stops the unit with all its processes and waits; false if it still runs after 90 s, or when `signal` is aborted. */
  stop(unit: UnitRef, signal: AbortSignal): Promise<boolean>;
  /** Every unit of ours that this host remembers, of whatever journal. */
  units(): Promise<readonly FoundUnit[]>;
  /** The last 64 KiB of what the unit printed; empty if nothing is kept. */
  output(unit: UnitRef): Promise<string>;
}

/** A store path says what a closure was made from, and whoever holds a cache's key says what lies there: the digest says what must. */
export interface WantedClosure {
  readonly closure: ClosureHash;
  /** SHA-256 over the sorted lines `path narHash narSize`; a closure of another one is refused for good. Null: nothing to compare. */
  readonly digest: string | null;
}

export type PinName = "target" | "rollback" | "known-good";

/** `final`: no retry can help, such as a signature that is refused. */
export interface Obstacle {
  readonly final: boolean;
  readonly message: string;
}

export type CheckOutcome =
  | { readonly kind: "passed" }
  /** The closure's script doesn't know `check`. */
  | { readonly kind: "unsupported" }
  | { readonly kind: "refused"; readonly exitCode: number | null; readonly stderrTail: string };

export interface StageFailed {
  readonly exitCode: number | null;
  readonly stderrTail: string;
}

export interface UnitRun {
  readonly unit: UnitRef;
  readonly closure: ClosureHash;
  /** The unit ends itself after this, so that none outlives the record that knows it. */
  readonly deadlineSecs: number;
}

/** `taken`: a unit of this name was fired before, which is the lock against firing twice. */
export interface FireRefused {
  readonly kind: "taken" | "failed";
  readonly message: string;
}

export interface FoundUnit {
  readonly unit: UnitRef;
  readonly running: boolean;
}

/** A unit that does not end within this is given up; longer would outlast a rollback's own timeout. */
export const STOP_TIMEOUT_SECS = 90;
/** Enough for the last screen of a failed switch; the whole log stays where the machine keeps logs. */
export const OUTPUT_MAX_BYTES = 64 * 1024;
/** What an event carries of it. */
export const STDERR_TAIL_MAX_BYTES = 4096;
