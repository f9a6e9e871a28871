import type { Channel, HostName, RolloutId } from "../ids.ts";
import { isOpen } from "./dispatch.ts";
import type { Answer } from "./explanation.ts";
import type { FleetState } from "./fleet.ts";
import { type HostEntry, isPlanned, type Member, owed } from "./member.ts";
import { compareNames } from "./releaseIndex.ts";

/** What explainHost would answer, without the evidence; `waits` stands for whatever a gate or the next plan would say. */
export interface BriefAnswer {
  readonly rolloutId: RolloutId | null;
  readonly kind: Exclude<Answer["kind"], "gate" | "never-seen"> | "waits";
}

/** Asks no gate, so that a whole fleet can be counted at each look; a property holds it equal to explainHost. */
export function briefAnswer(fleet: FleetState, host: HostName): BriefAnswer {
  const { index } = fleet;
  const entry = index.hosts.get(host) ?? null;
  const channel = entry === null ? null : firstOf(entry);
  const newest = channel === null ? null : (index.channels.get(channel)?.rollouts.at(-1) ?? null);
  const rolloutId = newest?.rolloutId ?? null;
  if (entry?.revoked === true) return { rolloutId, kind: "revoked" };
  if (entry === null || channel === null) {
    const isAnyReleased = [...index.channels.values()].some(({ current }) => current !== null);
    return { rolloutId, kind: isAnyReleased ? "unlisted" : "no-release" };
  }
  const member = newest?.members.get(host) ?? null;
  if (member === null || newest === null || !isPlanned(newest) || member.listed === null) {
    const isUnverified = (index.channels.get(channel)?.unverified ?? null) !== null;
    return { rolloutId, kind: isUnverified && newest === null ? "waits" : "no-release" };
  }
  return { rolloutId, kind: kindOf(member) };
}

/** Nearly every host is listed by one channel, and nothing need be sorted for it. */
function firstOf({ listings }: HostEntry): Channel | null {
  if (listings.size > 1) return [...listings].toSorted(compareNames)[0] ?? null;
  for (const only of listings) return only;
  return null;
}

function kindOf(member: Member): BriefAnswer["kind"] {
  const { record, marks, dispatch } = member;
  if (marks.lostAt !== null && record !== null) return "lost";
  if (marks.skippedAt !== null) return "skipped";
  if (dispatch !== null && isOpen(dispatch))
    return dispatch.state === "queued" ? "queued" : "dispatched";
  if (owed(member) !== null) return "waits";
  if (record === null) return "no-release";
  switch (record.kind) {
    case "Pending":
      return "queued";
    case "Activating":
      return "activating";
    case "Deferred":
      return "deferred";
    case "Soaking":
      return "soaking";
    case "Failed":
      return record.rollback === "none" ? "failed" : "rolling-back";
    case "Reverted":
      return "reverted";
    case "Converged":
      return "done";
  }
}
