import {
  briefAnswer,
  type Channel,
  type FleetState,
  type Instant,
  instant,
  type Offset,
  type RolloutId,
} from "@nixwave/effects";
import type { ChannelStatus, StatusView } from "@nixwave/protocol";
import { listed } from "../store/listing.ts";
import { rolloutOf, rolloutSummary } from "./rolloutSummary.ts";

/** What the gate `replay` says of its own channel, taken from a host that it holds; null outside a recovery. */
function unheardOf(fleet: FleetState, rolloutId: RolloutId): number | null {
  if (!fleet.waitingByGate(rolloutId).has("replay")) return null;
  for (const { block } of fleet.waitingInOrder(rolloutId))
    if (block.gate === "replay") return block.unheard;
  return null;
}

function freezesOf(fleet: FleetState, channel: Channel, now: Instant): ChannelStatus["freezes"] {
  const release = fleet.currentRelease(channel);
  return fleet.freezesInForce(now).filter(({ scope }) => {
    switch (scope.kind) {
      case "all":
        return true;
      case "channel":
        return scope.channel === channel;
      case "hosts":
        return release !== null && scope.hosts.some((host) => listed(release, host) !== null);
    }
  });
}

export function channelStatus(fleet: FleetState, channel: Channel, now: Instant): ChannelStatus {
  const newest = fleet.newestRollout(channel);
  const opened = newest === null ? null : rolloutOf(fleet, newest.rolloutId);
  return {
    channel,
    rollout: opened === null ? null : rolloutSummary(fleet, opened, now),
    unverified: fleet.unverified(channel),
    unheard: newest === null ? null : unheardOf(fleet, newest.rolloutId),
    freezes: freezesOf(fleet, channel, now),
  };
}

/** One look: every channel, what is stopped, and what to type next. */
export function statusView(
  fleet: FleetState,
  { readySince, newest }: { readonly readySince: Instant; readonly newest: Offset | null },
  now: Instant,
): StatusView {
  const channels = fleet.channels().map((channel) => channelStatus(fleet, channel, now));
  const unlisted = [...fleet.hostNames()].filter(
    (host) => briefAnswer(fleet, host).kind === "unlisted",
  );
  // What is stopped comes first: it must not be overlooked.
  const stopped = channels.filter(({ rollout }) => rollout !== null && rollout.halted !== null);
  const moving = channels.filter((status) => !stopped.includes(status));
  const next = [...stopped, ...moving].flatMap(({ rollout }) => rollout?.next ?? []);
  return {
    now: instant(now),
    readySince,
    newest,
    channels,
    unlistedHosts: unlisted.length,
    next: [...new Set(next)],
  };
}
