import {
  explainHost,
  type FleetState,
  type HostMarks,
  type HostName,
  type HostRollout,
  type Instant,
  type Release,
} from "@nixwave/effects";
import { type HostRow, type Shown, shownAs } from "@nixwave/protocol";
import { listed } from "../store/listing.ts";
import { releaseOf } from "./releaseHost.ts";

/** The word for a host in a rollout that is no longer planned: what its record last was, and nothing that time adds. */
export function shownOfRecord(record: HostRollout | null, marks: HostMarks): Shown {
  if (marks.lostAt !== null) return "lost";
  if (marks.skippedAt !== null) return "skipped";
  if (record === null) return "waiting";
  switch (record.kind) {
    case "Pending":
      return record.supersededBy === null ? "dispatched" : "waiting";
    case "Activating":
      return "activating";
    case "Deferred":
      return "deferred";
    case "Soaking":
      return "soaking";
    case "Converged":
      return "converged";
    case "Failed":
      return record.rollback === "none" ? "failed" : "rolling-back";
    case "Reverted":
      return "reverted";
  }
}

/** A host as it stands in `release`; null: as it stands in the release that its channel is to run, if any. */
export function hostRow(
  fleet: FleetState,
  on: { readonly host: HostName; readonly release: Release | null },
  now: Instant,
): HostRow {
  const { host } = on;
  const explanation = explainHost(fleet, host, now);
  const explained = explanation.rolloutId === null ? null : fleet.release(explanation.rolloutId);
  const release = on.release ?? explained ?? releaseOf(fleet, host);
  const entry = release === null ? null : listed(release, host);
  const isPlanned = release === null || release.rolloutId === explanation.rolloutId;
  const shown =
    isPlanned || explanation.rolloutId === null
      ? shownAs(explanation.answer)
      : shownOfRecord(fleet.record(release.rolloutId, host), fleet.marks(release.rolloutId, host));
  const sight = fleet.host(host);
  return {
    host,
    channel: release?.channel ?? null,
    tags: entry?.tags ?? [],
    wave: entry?.wave ?? null,
    shown,
    explanation,
    currentClosure: fleet.runningClosure(host),
    targetClosure: entry?.closure ?? null,
    lastHeardAt: sight?.lastHeardAt ?? null,
  };
}

/** How many hosts each word fits. */
export function countShown(rows: Iterable<{ readonly shown: Shown }>): {
  readonly [S in Shown]?: number;
} {
  const counts: { [S in Shown]?: number } = {};
  for (const { shown } of rows) counts[shown] = (counts[shown] ?? 0) + 1;
  return counts;
}
