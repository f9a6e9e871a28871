import type { RolloutId } from "@nixwave/effects";

/**
 * The one worker that changes the system (activation/). Every method returns at once and is idempotent: asked again for
 * what it is doing already, it does nothing more. It reads the record from the journal before each step that changes
 * anything, so that a task that has become stale does nothing at all.
 */
export interface ActivationWorker {
  /** LocalFireSwitch: what the record is owed, from the preflight to the unit's end, which it reports as `Observed`. */
  fireSwitch(rolloutId: RolloutId): void;
  /** LocalFireRollbackTo: stops a running switch first, commits RollbackStarting, then fires. */
  fireRollback(rolloutId: RolloutId): void;
  /** Reads the machine and submits one `Observed`; if the record's unit runs, another one when that has ended. */
  observe(rolloutId: RolloutId): void;
  /** Stops the record's unit, waits until it was seen to have ended, and then observes. */
  stopUnit(rolloutId: RolloutId): void;
  /** Why the switch in hand can't begin yet: what refused it last. Null where nothing has, or it has begun. */
  waitsFor(): string | null;
  /** Gives up realising and everything else that no unit does yet; a unit that runs goes on. */
  cancel(): void;
  /** Cancels, and resolves when nothing of it runs any more in this process. Units go on. */
  close(): Promise<void>;
}

/** The probes' workers (probes/). The same rules. */
export interface ProbeWorker {
  /**
   * LocalResetProbeCache: nothing if the runners already run for this rollout, attempt and boot; else the file is read,
   * `TopologyDeclared` submitted and, once that is committed, the runners are started.
   */
  reset(rolloutId: RolloutId): void;
  /** The record has left Soaking. */
  stop(): void;
  close(): Promise<void>;
}
