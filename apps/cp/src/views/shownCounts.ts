import { briefAnswer, type FleetState, type HostName, type Release } from "@nixwave/effects";
import { type Shown, shownAs } from "@nixwave/protocol";
import { shownOfRecord } from "./hostRow.ts";

/** How many hosts of the release each word of a row fits: what rows say, without the gates that tell a row why. */
export function shownCounts(
  fleet: FleetState,
  release: Release,
): { readonly [S in Shown]?: number } {
  const counts: { [S in Shown]?: number } = {};
  for (const { host } of release.hosts) {
    const word = shownBriefly(fleet, release, host);
    counts[word] = (counts[word] ?? 0) + 1;
  }
  return counts;
}

function shownBriefly(fleet: FleetState, { rolloutId }: Release, host: HostName): Shown {
  const brief = briefAnswer(fleet, host);
  const isPlanned = brief.rolloutId === rolloutId || brief.rolloutId === null;
  if (!isPlanned) return shownOfRecord(fleet.record(rolloutId, host), fleet.marks(rolloutId, host));
  if (brief.kind === "waits") return WAITS;
  const record = brief.kind === "done" ? fleet.record(rolloutId, host) : null;
  return shownAs(record === null ? { kind: brief.kind } : { kind: brief.kind, record });
}

/** Whatever holds a host, its word is the same. */
const WAITS = shownAs({ kind: "gate" });
