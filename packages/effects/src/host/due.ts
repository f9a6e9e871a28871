import type { HealthFailed } from "../event.ts";
import { addSecs, earliest, type Instant, later, secsBetween } from "../time.ts";
import { failureDeadlines, firstDeadline, healthGaps, healthyAt } from "./health.ts";
import type { UnitPurpose } from "./observe.ts";
import type { Activating, Failed, HostRollout, Soaking } from "./state.ts";

/**
 * What time alone makes happen to a record. `Report` is stepped at once. `Observe`: the machine is to be asked, and
 * `observe` decides. `StopUnit`: the unit has outlived its deadline; it is stopped, seen to have ended, and then observed.
 */
export type Due =
  | { readonly kind: "Report"; readonly event: HealthFailed }
  | { readonly kind: "Observe" }
  | { readonly kind: "StopUnit"; readonly purpose: UnitPurpose };

/** This run of the agent: what was observed before it began waits for what it observes itself. */
export interface AgentRun {
  readonly startedAt: Instant;
}

/** For one unchanged state the machine is asked at most this often: what it could not settle a moment ago it rarely can now. */
export const OBSERVE_AGAIN_SECS = 30;

/** At an agent's start `observe` is asked before `due`. */
export function due(state: HostRollout, run: AgentRun, now: Instant): Due | null {
  if (state.supersededBy !== null) return null;
  switch (state.kind) {
    case "Activating":
      return now < activationDeadline(state)
        ? null
        : state.startedAt === null
          ? { kind: "Observe" }
          : { kind: "StopUnit", purpose: "switch" };
    case "Soaking":
      return dueInSoaking(state, run, now);
    case "Failed":
      return dueInFailed(state, now);
    case "Pending":
    case "Deferred":
    case "Converged":
    case "Reverted":
      return null;
  }
}

/** The instant at which to ask `due` again, if nothing else happens before; null for never. */
export function nextDueAt(state: HostRollout, run: AgentRun): Instant | null {
  if (state.supersededBy !== null) return null;
  switch (state.kind) {
    case "Activating":
      return activationDeadline(state);
    case "Soaking":
      return earliest(
        [firstDeadline(failureDeadlines(state, run.startedAt)), healthyAt(state)].filter(
          (at) => at !== null,
        ),
      );
    case "Failed":
      return failedDueAt(state);
    case "Pending":
    case "Deferred":
    case "Converged":
    case "Reverted":
      return null;
  }
}

/** When the attempt to activate has taken too long: realising counts from the acknowledgement, a switch from its last start. */
export function activationDeadline(state: Activating): Instant {
  const { realiseTimeoutSecs, activationTimeoutSecs } = state.terms.policy;
  return state.startedAt === null
    ? addSecs(state.ackedAt, realiseTimeoutSecs)
    : addSecs(state.startedAt, activationTimeoutSecs);
}

/** When a rollback that was started has taken too long; null while none was. */
export function rollbackDeadline(state: Failed): Instant | null {
  return state.rollbackStartedAt === null
    ? null
    : addSecs(state.rollbackStartedAt, state.terms.policy.rollbackTimeoutSecs);
}

function dueInSoaking(state: Soaking, run: AgentRun, now: Instant): Due | null {
  const failing = failureDeadlines(state, run.startedAt).filter(({ at }) => at <= now);
  if (failing.length > 0) {
    const since = earliest(failing.map((failure) => failure.since));
    const failingProbes = failing.map(({ probeName }) => probeName);
    const sustainedDurationSecs = secsBetween(since ?? now, now);
    const policyApplied = state.terms.policy.onHealthFailure;
    return {
      kind: "Report",
      event: { kind: "Failed", failedAt: now, sustainedDurationSecs, failingProbes, policyApplied },
    };
  }
  return healthGaps(state, now).length === 0 ? { kind: "Observe" } : null;
}

function dueInFailed(state: Failed, now: Instant): Due | null {
  const at = failedDueAt(state);
  if (at === null || now < at) return null;
  return state.rollback === "owed" && state.rollbackStartedAt !== null
    ? { kind: "StopUnit", purpose: "rollback" }
    : { kind: "Observe" };
}

function failedDueAt(state: Failed): Instant | null {
  switch (state.rollback) {
    case "none":
      return null;
    case "owed":
      return rollbackDeadline(state) ?? state.failedAt;
    case "failed":
      return state.rollbackRetryAt === null
        ? state.failedAt
        : later(state.failedAt, state.rollbackRetryAt);
  }
}
