import type { ByKind } from "../interpret.ts";
import type { Instant } from "../time.ts";
import type { RolloutCell, Verdict } from "./cells.ts";
import type { InputAbout } from "./input.ts";
import type { Rollout, RolloutState } from "./state.ts";
import { ROLLOUT_TABLE, UNOPENED } from "./table.ts";

/** What a rollout's table has cells for: its own inputs and the fleet's that touch it through one of its hosts. */
export type RolloutStepInput = InputAbout<"rollout" | "host">;
export type RolloutStepKind = RolloutStepInput["kind"];

/** `moved`: the state's name changed; a pause, a wave or nothing at all is `stayed`. */
export type RolloutOutcome =
  | { readonly kind: "moved"; readonly from: RolloutState | null; readonly to: RolloutState }
  | { readonly kind: "stayed" }
  | { readonly kind: "refused"; readonly why: string };

/** What an input did. A `stayed` without change returns the same reference; null is a rollout never opened. */
export interface RolloutStep {
  readonly outcome: RolloutOutcome;
  readonly rollout: Rollout | null;
}

/** Total, never throws. `RolloutOpened` is insert-only (hazard 23). */
export function stepRollout(
  rollout: Rollout | null,
  input: RolloutStepInput,
  now: Instant,
): RolloutStep {
  if (rollout !== null && rollout.rolloutId !== input.rolloutId)
    return refusedStep(rollout, `the input is about ${input.rolloutId}, not ${rollout.rolloutId}`);
  const verdict = rollout === null ? judgeUnopened(input, now) : judge(rollout, input, now);
  if (typeof verdict === "string") return refusedStep(rollout, verdict);
  if (verdict === null || verdict.kind === rollout?.kind)
    return { outcome: { kind: "stayed" }, rollout: verdict };
  return {
    outcome: { kind: "moved", from: rollout?.kind ?? null, to: verdict.kind },
    rollout: verdict,
  };
}

const refusedStep = (rollout: Rollout | null, why: string): RolloutStep => ({
  outcome: { kind: "refused", why },
  rollout,
});

/** The two indices are correlated with the two arguments; the generics say so to the compiler. */
function judge<S extends RolloutState, K extends RolloutStepKind>(
  rollout: ByKind<Rollout>[S] & { readonly kind: S },
  input: ByKind<RolloutStepInput>[K] & { readonly kind: K },
  now: Instant,
): Verdict {
  const row: { readonly [N in RolloutStepKind]: RolloutCell<S, N> } = ROLLOUT_TABLE[rollout.kind];
  return row[input.kind](rollout, input, now);
}

function judgeUnopened<K extends RolloutStepKind>(
  input: ByKind<RolloutStepInput>[K] & { readonly kind: K },
  now: Instant,
): Verdict {
  return UNOPENED[input.kind](null, input, now);
}
