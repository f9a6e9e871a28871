import { invariant } from "../invariant.ts";
import type { Instant } from "../time.ts";
import type { HostForgot, HostFound, HostLost, RolloutInput } from "./input.ts";
import type { Rollout } from "./state.ts";

/** What a rollout's table has cells for: its own inputs and the fleet's that touch it through one of its hosts. */
export type RolloutStepInput = RolloutInput | HostLost | HostFound | HostForgot;

export type RolloutOutcome =
  | { readonly kind: "moved" }
  | { readonly kind: "stayed" }
  | { readonly kind: "refused"; readonly why: string };

/** What an input did. A `stayed` without change returns the same reference; null is a rollout never opened. */
export interface RolloutStep {
  readonly outcome: RolloutOutcome;
  readonly rollout: Rollout | null;
}

/** Total, never throws. `RolloutOpened` is insert-only. */
export function stepRollout(
  rollout: Rollout | null,
  input: RolloutStepInput,
  now: Instant,
): RolloutStep {
  invariant(rollout === null && now < 0 && input.kind === "HostLost", "being written");
  return { outcome: { kind: "stayed" }, rollout };
}
