import type { RolloutSummary, RolloutView, StatusView } from "@nixwave/protocol";
import type { Seen } from "./exit.ts";
import { waitsForPerson } from "./render/block.ts";

/** What one rollout is waiting for, as exit codes tell it. */
export type Verdict = "halted" | "person" | "moving" | "ended";

/** Words of hosts for which something is under way: they will report by themselves. */
const MOVING = ["dispatched", "activating", "soaking", "rolling-back"] as const;

const isMoving = ({ counts }: RolloutSummary): boolean =>
  MOVING.some((shown) => (counts[shown] ?? 0) > 0);

/**
 * A rollout waits for a person when nothing of it moves and no reason that holds its hosts goes away by itself. A pause
 * without an end is a person's doing, and waits for one whatever still soaks.
 */
export function verdictOf(view: RolloutView): Verdict {
  const { rollout, waves } = view;
  if (rollout.halted !== null) return rollout.state === "Superseded" ? "ended" : "halted";
  if (rollout.state !== "Active") return "ended";
  if (rollout.pause !== null && rollout.pause.until === null) return "person";
  if (isMoving(rollout)) return "moving";
  const reasons = waves.filter(({ state }) => state === "open").flatMap(({ heldBy }) => heldBy);
  const held = reasons.filter(({ example: { answer } }) => answer.kind === "gate");
  if (held.length === 0 || held.length < reasons.length) return "moving";
  const hopeless = held.every(
    ({ example: { answer } }) => answer.kind === "gate" && waitsForPerson(answer.block),
  );
  return hopeless ? "person" : "moving";
}

/** Rollouts of which `status` must know more than the summary: Active, and nothing of them moves. */
export const stalled = (view: StatusView): readonly RolloutSummary[] =>
  view.channels.flatMap(({ rollout }) =>
    rollout !== null && rollout.state === "Active" && !isMoving(rollout) ? [rollout] : [],
  );

/** A channel's freeze without an end, and a newest release that can't be used, wait for a person too. */
export function verdictsOf(view: StatusView, looked: readonly RolloutView[]): readonly Verdict[] {
  return view.channels.map(({ rollout, freezes, unverified }) => {
    if (rollout?.state === "Failed" || rollout?.state === "Reverted") return "halted";
    if (unverified !== null || freezes.some(({ until }) => until === null)) return "person";
    if (rollout === null || rollout.state !== "Active") return "ended";
    if (rollout.pause !== null && rollout.pause.until === null) return "person";
    const seen = looked.find((one) => one.rollout.rolloutId === rollout.rolloutId);
    return seen === undefined ? "moving" : verdictOf(seen);
  });
}

export const seenOf = (verdicts: readonly Verdict[], timedOut = false): Seen => ({
  halted: verdicts.includes("halted"),
  waitsForPerson: verdicts.includes("person"),
  timedOut,
});

/** `--wait` goes on while something still moves by itself. */
export const settled = (verdicts: readonly Verdict[]): boolean => !verdicts.includes("moving");
