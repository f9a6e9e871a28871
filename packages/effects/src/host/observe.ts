import type { LocalEffect } from "../effect.ts";
import type { ActivationFailed, ActivationPhase, OutboundAgentEvent } from "../event.ts";
import type { BootId, ClosureHash } from "../ids.ts";
import type { Instant } from "../time.ts";
import { STARTS_MAX } from "./cells.ts";
import { activationDeadline, rollbackDeadline } from "./due.ts";
import { healthGaps, RUNNING_CLOSURE } from "./health.ts";
import { rollbackOf } from "./local.ts";
import type { Activating, Deferred, Failed, HostRollout, Soaking } from "./state.ts";

export type UnitPurpose = "switch" | "rollback";

/** The detached unit of this rollout, attempt, try and purpose; any other that has ended is `none`. `unknown`: a new boot took its memory. */
export type UnitSeen =
  | { readonly kind: "none" }
  | { readonly kind: "running" }
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed" }
  | { readonly kind: "unknown" };

/** What the machine says, read at one moment. A closure is null where the link is missing or names nothing of ours. */
export interface Seen {
  readonly bootId: BootId;
  readonly runningClosure: ClosureHash | null;
  readonly profileClosure: ClosureHash | null;
  readonly bootClosure: ClosureHash | null;
  readonly unit: UnitSeen;
  readonly purpose: UnitPurpose;
  readonly stderrTail: string;
}

export interface Observation {
  readonly event: OutboundAgentEvent | null;
  readonly effects: readonly LocalEffect[];
}

/** Switched, but some units failed: the probes will judge. */
const EXIT_UNITS_FAILED = 4;
/** The system cannot be switched live; it has to be booted into. */
const EXIT_NEEDS_REBOOT = 100;

const NOTHING: Observation = { event: null, effects: [] };
const happened = (event: OutboundAgentEvent): Observation => ({ event, effects: [] });
const owed = (...effects: readonly LocalEffect[]): Observation => ({ event: null, effects });

/**
 * What is still owed, from what the record says and what the machine says. Asked at boot, when a unit ends, and when
 * `due` says so; nothing else decides, and recovery is no path of its own (hazard 48). The first row that fits answers.
 */
export function observe(state: HostRollout, seen: Seen, now: Instant): Observation {
  if (state.supersededBy !== null) return NOTHING;
  switch (state.kind) {
    case "Activating":
      return observeActivating(state, seen, now);
    case "Deferred":
      return observeDeferred(state, seen, now);
    case "Soaking":
      return observeSoaking(state, seen, now);
    case "Failed":
      return observeFailed(state, seen, now);
    case "Pending":
    case "Converged":
    case "Reverted":
      return NOTHING;
  }
}

function observeActivating(state: Activating, seen: Seen, now: Instant): Observation {
  const { unit, runningClosure } = seen;
  const runs = runningClosure === state.targetClosure;
  const late = now >= activationDeadline(state);
  switch (unit.kind) {
    case "running":
      return NOTHING;
    case "exited":
      if (runs && (unit.code === 0 || unit.code === EXIT_UNITS_FAILED))
        return completed(state, unit.code, now);
      // The worker stages the boot instead of firing again, and reports how that went.
      if (!runs && unit.code === EXIT_NEEDS_REBOOT && !late) return fireSwitch(state);
      if (unit.code === 0 || unit.code === EXIT_UNITS_FAILED)
        return activationFailed(state, seen, "verify", now);
      return activationFailed(
        state,
        seen,
        late && unit.code === EXIT_NEEDS_REBOOT ? "timeout" : "switch",
        now,
      );
    case "killed":
      return activationFailed(state, seen, late ? "timeout" : "switch", now);
    case "none":
    case "unknown":
      // The running closure alone is no proof while a unit may be at work; with none, and the profile agreeing, it is.
      if (state.startedAt !== null && runs && seen.profileClosure === state.targetClosure)
        return completed(state, null, now);
      if (late)
        return activationFailed(state, seen, state.startedAt === null ? "realise" : "timeout", now);
      return state.starts < STARTS_MAX
        ? fireSwitch(state)
        : activationFailed(state, seen, "switch", now);
  }
}

/** Only a new boot says how a staged activation went. */
function observeDeferred(state: Deferred, seen: Seen, now: Instant): Observation {
  if (seen.bootId === state.bootId) return NOTHING;
  return seen.runningClosure === state.targetClosure
    ? completed(state, null, now)
    : activationFailed(state, seen, "verify", now);
}

function observeSoaking(state: Soaking, seen: Seen, now: Instant): Observation {
  if (seen.runningClosure !== state.targetClosure) {
    const policyApplied = state.terms.policy.onHealthFailure;
    return happened({
      kind: "Failed",
      failedAt: now,
      sustainedDurationSecs: 0,
      failingProbes: [RUNNING_CLOSURE],
      policyApplied,
    });
  }
  if (state.topology?.bootId === seen.bootId && healthGaps(state, now).length === 0) {
    return happened({ kind: "Converged", convergedAt: now, currentClosure: seen.runningClosure });
  }
  // Unless the runners already run this ends in a ProbeTopologyDeclared, so that a new boot starts without evidence.
  return owed({ kind: "LocalResetProbeCache", rolloutId: state.rolloutId });
}

function observeFailed(state: Failed, seen: Seen, now: Instant): Observation {
  const { rollbackTarget } = state;
  if (state.rollback === "none" || rollbackTarget === null) return NOTHING;
  const { unit, purpose } = seen;
  if (unit.kind === "running") return purpose === "rollback" ? NOTHING : owed(...rollbackOf(state));
  const exitCode = purpose === "rollback" && unit.kind === "exited" ? unit.code : null;
  if (isAllOn(seen, rollbackTarget))
    return happened({
      kind: "RollbackComplete",
      revertedToClosure: rollbackTarget,
      exitCode,
      completedAt: now,
    });
  const deadline = rollbackDeadline(state);
  const unreported = state.rollback === "owed" && deadline !== null;
  // The worker makes the target the next boot first, so that a reboot ends what no switch can; then this is reported.
  const needsReboot = exitCode === EXIT_NEEDS_REBOOT && seen.runningClosure !== rollbackTarget;
  const isStaged = seen.profileClosure === rollbackTarget && seen.bootClosure === rollbackTarget;
  if (unreported && needsReboot && !isStaged && now < deadline) return owed(...rollbackOf(state));
  const ended = purpose === "rollback" && (unit.kind === "exited" || unit.kind === "killed");
  if (unreported && (ended || now >= deadline)) {
    return happened({
      kind: "RollbackFailed",
      exitCode,
      stderrTail: seen.stderrTail,
      failedAt: now,
    });
  }
  return owed(...rollbackOf(state));
}

function isAllOn(seen: Seen, closure: ClosureHash): boolean {
  return (
    seen.runningClosure === closure &&
    seen.profileClosure === closure &&
    seen.bootClosure === closure
  );
}

function completed(
  state: Activating | Deferred,
  exitCode: number | null,
  now: Instant,
): Observation {
  return happened({
    kind: "ActivationCompleted",
    observedCurrentClosure: state.targetClosure,
    exitCode,
    completedAt: now,
  });
}

function activationFailed(
  state: Activating | Deferred,
  seen: Seen,
  phase: ActivationPhase,
  now: Instant,
): Observation {
  const untouched = state.rollbackTarget !== null && isAllOn(seen, state.rollbackTarget);
  const exitCode = seen.unit.kind === "exited" ? seen.unit.code : null;
  const event: ActivationFailed = {
    kind: "ActivationFailed",
    phase,
    untouched,
    exitCode,
    stderrTail: seen.stderrTail,
    failedAt: now,
  };
  return happened(event);
}

const fireSwitch = (state: Activating): Observation =>
  owed({ kind: "LocalFireSwitch", rolloutId: state.rolloutId, target: state.targetClosure });
