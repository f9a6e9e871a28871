import type { Decided } from "./decide.ts";
import type { FleetIndex } from "./fleetIndex.ts";
import { type Plan, waitingOf } from "./plan.ts";
import type { Place } from "./waitCounts.ts";
import type { Block } from "./waiting.ts";

/** Keeps what a plan found: why hosts wait, under what each is woken, and when. */
export function settle(index: FleetIndex, { notes }: Plan): void {
  const { agenda } = index;
  index.firstPlanAt ??= notes.now;
  index.lastPlanAt = notes.now;
  agenda.clear();
  agenda.passed(notes.now);
  for (const { rollout, wakesAt } of notes.rollouts) agenda.wakeRollout(rollout, wakesAt);
  for (const decided of notes.decided) {
    const { member, decision, wakesAt } = decided;
    const block = decision.kind === "waits" ? decision.blocked.block : null;
    if (block === null) member.waitingSince = null;
    else if (member.waiting?.block.gate !== block.gate) member.waitingSince = notes.now;
    member.waiting = decision.kind === "waits" ? waitingOf(decided) : null;
    const place = placeOf(decided);
    member.rollout.waits.move(member.waitsAt, place);
    member.waitsAt = place;
    member.wakesWhenHeard = block?.gate === "offline";
    agenda.park(member, isParked(decided, block));
    agenda.queue(member, block?.gate === "budget" ? block.budget : null);
    agenda.wakeMember(member, wakesAt);
  }
  for (const member of notes.postponed) {
    agenda.touched.add(member);
    // Whoever found the budget full because of it is asked again, should it not move after all.
    for (const { name } of member.rollout.release?.budgetsOf.get(member.host.host) ?? [])
      agenda.freed.add(name);
  }
}

function placeOf({ member: { listed, counted }, decision }: Decided): Place | null {
  if (decision.kind !== "waits" || listed === null) return null;
  const { blocked, ofRollout } = decision;
  const untried = counted.standing === "untried";
  return { wave: listed.wave, gate: blocked.block.gate, ofRollout, untried };
}

/** Woken with its rollout: by a gate that holds all of it, or by new metadata after a refusal. */
const isParked = ({ decision }: Decided, block: Block | null): boolean =>
  decision.kind === "waits" && (decision.ofRollout || block?.gate === "refused");
