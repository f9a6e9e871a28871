import type { Timer } from "../ports.ts";
import type { ReachTarget } from "./baseline.ts";
import { answering, reachName } from "./baseline.ts";
import { failed, PASS, type RunCheck } from "./check.ts";

export interface ReachabilityCheck {
  readonly reach: readonly ReachTarget[];
  /** Whether it has passed before, in this attempt; asked of the journal. */
  readonly hasPassed: () => boolean;
}

/**
 * Passes once the host has reached *anybody* since the activation, and then for good: a release that cuts the host off is
 * rolled back, and an outage of the control plane alone is not.
 */
export function reachabilityCheck({ reach, hasPassed }: ReachabilityCheck, timer: Timer): RunCheck {
  return async (signal) => {
    if (hasPassed()) return PASS;
    const answered = await answering({ reach, timer }, signal);
    if (answered.length > 0) return PASS;
    return failed(`since the activation none of ${reach.map(reachName).join(", ")} was reached`);
  };
}
