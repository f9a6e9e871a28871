import { interpret, invariant, plan } from "@nixwave/effects";
import type { Draft } from "./draft.ts";
import { COMMIT_HANDLERS } from "./handlers.ts";

/** A wave completes, the next opens, and some rounds around that; more would be a plan that feeds on itself. */
const ROUNDS_BESIDE_WAVES_MAX = 8;

/** `plan` and `fold` alternate until no input is left. */
export function planUntilSettled(draft: Draft): void {
  const { fleet } = draft.memory;
  let round = 0;
  for (;;) {
    const next = plan(fleet, draft.now);
    fleet.planned(next);
    for (const waiting of next.waiting) draft.memory.gatesTouched.add(waiting.rolloutId);
    for (const input of next.inputs) draft.input(input);
    const context = {
      fleet,
      now: draft.now,
      appendReceived: () => invariant(false, "a plan receives nothing"),
      change: () => invariant(false, "what a plan changes has a line of its own"),
      queueDispatch: (dispatch: Parameters<Draft["dispatch"]>[0]) => void draft.dispatch(dispatch),
    };
    for (const effect of next.effects) interpret(COMMIT_HANDLERS, effect, context);
    if (next.inputs.length === 0 && next.effects.length === 0) return;
    round += 1;
    if (round <= ROUNDS_BESIDE_WAVES_MAX) continue;
    const most = roundsMax(draft);
    invariant(
      round <= most,
      `plan and fold settle within ${most} rounds; the last input was ${next.inputs.at(-1)?.kind ?? "none"}`,
    );
  }
}

function roundsMax({ memory: { fleet } }: Draft): number {
  const waves = fleet.channels().map((channel) => fleet.currentRelease(channel)?.waves.length ?? 0);
  return Math.max(0, ...waves) + ROUNDS_BESIDE_WAVES_MAX;
}
