import type {
  Channel,
  ClosureHash,
  FleetState,
  HostName,
  Instant,
  RolloutId,
} from "@nixwave/effects";
import type { QuarantineView } from "@nixwave/protocol";

export interface Quarantined {
  readonly channel: Channel;
  readonly closure: ClosureHash;
  readonly since: Instant;
}

interface Origin {
  readonly host: HostName;
  readonly rolloutId: RolloutId;
}

/** The host whose rollback made it: the newest rollout of the channel in which one left that closure. */
function originOf(fleet: FleetState, { channel, closure }: Quarantined): Origin | null {
  for (const { rolloutId } of fleet.rolloutsOf(channel).toReversed()) {
    for (const entry of fleet.release(rolloutId)?.hosts ?? []) {
      if (entry.closure !== closure) continue;
      const record = fleet.record(rolloutId, entry.host);
      const left =
        record?.kind === "Reverted" || (record?.kind === "Failed" && record.rollback === "failed");
      if (left) return { host: entry.host, rolloutId };
    }
  }
  return null;
}

export function quarantineView(fleet: FleetState, quarantine: Quarantined): QuarantineView {
  const { channel, closure, since } = quarantine;
  const origin = originOf(fleet, quarantine);
  const listed = fleet.currentRelease(channel)?.hosts ?? [];
  return {
    channel,
    closure,
    since,
    host: origin?.host ?? null,
    rolloutId: origin?.rolloutId ?? null,
    hosts: listed.filter((entry) => entry.closure === closure).length,
  };
}
