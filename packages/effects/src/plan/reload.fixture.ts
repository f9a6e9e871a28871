import type { ControlPlane } from "./controlPlane.fixture.ts";
import { FleetState } from "./fleet.ts";

/** What a CP finds in its store when it starts again. */
export function reloaded({ fleet, now }: ControlPlane, readyAt = fleet.readyAt): FleetState {
  const { index } = fleet;
  const again = new FleetState(readyAt);
  for (const { release, rolloutId, channel: of } of index.rollouts.values()) {
    const { named, metadataAt } = index.channel(of);
    const current = named?.rolloutId === rolloutId;
    if (release !== null)
      again.apply({
        kind: "ReleaseVerified",
        release: release.release,
        current,
        at: metadataAt ?? now,
      });
  }
  for (const { rollout } of index.rollouts.values())
    if (rollout !== null) again.apply({ kind: "RolloutChanged", rollout });
  for (const { record, marks, dispatch } of [...index.rollouts.values()].flatMap(({ members }) => [
    ...members.values(),
  ])) {
    if (record !== null) again.apply({ kind: "RecordChanged", record });
    again.apply({ kind: "MarksChanged", marks });
    if (dispatch !== null) again.apply({ kind: "DispatchChanged", dispatch });
  }
  for (const {
    host: name,
    journals,
    journalId,
    report,
    reportAt,
    lastHeardAt,
    revoked,
  } of index.hosts.values()) {
    for (const { journalId: id, since } of journals)
      again.apply({ kind: "HostHeard", host: name, journalId: id, at: since, report: null });
    if (journalId !== null && reportAt !== null)
      again.apply({ kind: "HostHeard", host: name, journalId, at: reportAt, report });
    if (journalId !== null && lastHeardAt !== null)
      again.apply({ kind: "HostHeard", host: name, journalId, at: lastHeardAt, report: null });
    again.apply({ kind: "HostRevoked", host: name, revoked });
  }
  for (const one of fleet.quarantines()) again.apply({ kind: "QuarantineInserted", ...one });
  for (const freeze of fleet.freezes()) again.apply({ kind: "FreezeInserted", freeze });
  for (const { channel: of, unverified, replay } of index.channels.values()) {
    if (unverified !== null) again.apply({ kind: "ChannelUnverified", channel: of, ...unverified });
    if (replay === null) continue;
    again.apply({ kind: "ReplayBegan", channels: [of], since: replay.since });
    for (const name of replay.replayed) again.apply({ kind: "HostReplayed", host: name });
  }
  return again;
}
