import type { FleetState, HostName, Instant, Offset } from "@nixwave/effects";
import type { HostView } from "@nixwave/protocol";
import type { StoredHost } from "../store/reader.ts";
import { hostRow } from "./hostRow.ts";

/** One host: where it stands, what it last said. What it never said is null. */
export function hostView(
  fleet: FleetState,
  on: { readonly host: HostName; readonly stored: StoredHost | null },
  at: { readonly now: Instant; readonly newest: Offset | null },
): HostView {
  const { host, stored } = on;
  const row = hostRow(fleet, { host, release: null }, at.now);
  const { rolloutId } = row.explanation;
  const report = fleet.host(host)?.report ?? null;
  return {
    now: at.now,
    newest: at.newest,
    row,
    record: rolloutId === null ? null : fleet.record(rolloutId, host),
    agentVersion: report?.agentVersion ?? null,
    bootId: report?.bootId ?? null,
    leaving: report?.leaving ?? null,
    clockSkewSecs: report?.clockSkewSecs ?? null,
    diskFreeBytes: report?.diskFreeBytes ?? null,
    journals: (stored?.journals ?? []).map(({ journalId, beganAt }) => ({
      journalId,
      since: beganAt,
    })),
    rollouts: fleet
      .recordsOf(host)
      .map((record) => ({ rolloutId: record.rolloutId, state: record.kind })),
  };
}
