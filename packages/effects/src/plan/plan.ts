import type { RemoteOpenRolloutRecord, RemoteQueueDispatch } from "../effect.ts";
import { invariant } from "../invariant.ts";
import type { Input } from "../rollout/input.ts";
import type { Instant } from "../time.ts";
import type { Fleet } from "./fleet.ts";
import type { Waiting } from "./waiting.ts";

/** Inputs to log and fold, then effects to commit, and why the hosts looked at did not move. */
export interface Plan {
  readonly inputs: readonly Input[];
  readonly effects: readonly (RemoteOpenRolloutRecord | RemoteQueueDispatch)[];
  readonly waiting: readonly Waiting[];
}

/** Looks only at what was touched since the last `planned`, or is due by now. Changes nothing. */
export function plan(fleet: Fleet, now: Instant): Plan {
  invariant(now < fleet.readyAt, "being written");
  return { inputs: [], effects: [], waiting: [] };
}

/** The reference: looks at every host, and counts everything anew. */
export function planAll(fleet: Fleet, now: Instant): Plan {
  return plan(fleet, now);
}

/** The next instant at which time alone may change a plan, or null. It may be early, never late. */
export function nextPlanAt(fleet: Fleet): Instant | null {
  return fleet.readyAt;
}
