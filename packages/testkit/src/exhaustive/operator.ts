import {
  type FleetState,
  frozen,
  type HostName,
  type Input,
  type Made,
  operatorAdvanced,
  operatorCancelled,
  operatorCleared,
  operatorPaused,
  operatorResumed,
  operatorRetried,
  parseFreezeId,
  quarantineLifted,
  retentionExpired,
  unfrozen,
} from "@nixwave/effects";
import type { Turn } from "./controlPlane.ts";
import { CHANNEL, type OperatorAct } from "./setting.ts";

const WHO = { by: "ops", reason: "a look" };

/** What an operator does to the newest rollout; nothing where it is refused. */
export function operate(turn: Turn, act: OperatorAct, host: HostName): void {
  if (act === "prune") {
    const { fleet, now } = turn;
    for (const input of retentionExpired(fleet, CHANNEL, now, now)) turn.fold(input);
    return;
  }
  const made = madeOf(turn, act, host);
  if (made?.ok === true) turn.fold(made.value);
}

function madeOf(
  { fleet, now }: Turn,
  act: Exclude<OperatorAct, "prune">,
  host: HostName,
): Made<Input> | null {
  const rollout = fleet.newestRollout(CHANNEL);
  if (rollout === null) return null;
  const { rolloutId } = rollout;
  switch (act) {
    case "pause":
      return operatorPaused(fleet, rolloutId, { ...WHO, until: null }, now);
    case "resume":
      return operatorResumed(fleet, rolloutId, WHO, now);
    case "clear":
      return operatorCleared(fleet, rolloutId, WHO, now);
    case "cancel":
      return operatorCancelled(fleet, rolloutId, WHO, now);
    case "advance":
      return operatorAdvanced(fleet, { rolloutId, wave: rollout.cursor }, WHO, now);
    case "retry":
      return operatorRetried(fleet, host, WHO, now);
    case "lift":
      return lifted(fleet, now);
    case "freeze":
    case "unfreeze":
      return freezing(fleet, act, now);
  }
}

function lifted(fleet: FleetState, now: Turn["now"]): Made<Input> | null {
  const one = fleet.quarantines()[0];
  return one === undefined ? null : quarantineLifted(fleet, one, WHO, now);
}

function freezing(
  fleet: FleetState,
  act: "freeze" | "unfreeze",
  now: Turn["now"],
): Made<Input> | null {
  const freezeId = parseFreezeId("f".repeat(16));
  if (!freezeId.ok) return null;
  if (act === "unfreeze") return unfrozen(fleet, freezeId.value, WHO, now);
  if (fleet.freezes().length > 0) return null;
  const what = { freezeId: freezeId.value, scope: { kind: "all" } } as const;
  return frozen(fleet, what, { ...WHO, until: null }, now);
}
