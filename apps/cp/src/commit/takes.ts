import type { HostName, RolloutId } from "@nixwave/effects";
import { listed } from "../store/listing.ts";
import type { Memory } from "../store/memory.ts";

/** Whether events of this host in this rollout can be folded: the rollout is opened and not pruned, and its release lists the host. */
export function takes({ fleet }: Memory, rolloutId: RolloutId, host: HostName): boolean {
  const release = fleet.release(rolloutId);
  const rollout = fleet.rollout(rolloutId);
  if (release === null || rollout === null || rollout.kind === "Pruned") return false;
  return listed(release, host) !== null;
}
