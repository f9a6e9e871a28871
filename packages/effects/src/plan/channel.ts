import type { Channel, ClosureHash, HostName, RolloutId } from "../ids.ts";
import type { Release } from "../release.ts";
import type { Instant } from "../time.ts";
import type { RolloutEntry } from "./member.ts";
import { compareNames, type ReleaseIndex } from "./releaseIndex.ts";

/** The gate `replay`: who has not been heard and replayed since the CP came back. */
interface Replay {
  readonly since: Instant;
  readonly replayed: Set<HostName>;
}

/** A release train as the plan sees it. Only FleetState writes to it. */
export interface ChannelEntry {
  readonly channel: Channel;
  /** What current.json names. */
  named: RolloutEntry | null;
  /** What the channel is to run: the named release if it is newer than all opened ones, else the newest opened. */
  current: RolloutEntry | null;
  /** When its metadata last changed, by the CP's clock. */
  metadataAt: Instant | null;
  unverified: { readonly reason: string; readonly since: Instant } | null;
  /** Opened ones, oldest release first. */
  rollouts: readonly RolloutEntry[];
  readonly verified: Map<RolloutId, RolloutEntry>;
  readonly quarantined: Map<ClosureHash, Instant>;
  replay: Replay | null;
  /** Listed hosts that have not been replayed; empty without a replay. */
  unreplayed: Set<HostName>;
}

export const channelEntry = (channel: Channel): ChannelEntry => ({
  channel,
  named: null,
  current: null,
  metadataAt: null,
  unverified: null,
  rollouts: [],
  verified: new Map(),
  quarantined: new Map(),
  replay: null,
  unreplayed: new Set(),
});

export const byCreation = (a: RolloutEntry, b: RolloutEntry): number =>
  a.createdAt - b.createdAt || compareNames(a.rolloutId, b.rolloutId);

/** A release created no later than any opened on its channel is `older`: what ran goes on. */
export function currentOf({ named, rollouts }: ChannelEntry): RolloutEntry | null {
  const newest = rollouts.at(-1) ?? null;
  if (named === null || newest === null) return named ?? newest;
  return named.createdAt > newest.createdAt ? named : newest;
}

const releaseOf = (entry: ChannelEntry | null): ReleaseIndex | null =>
  entry?.current?.release ?? null;

/** The channels that hold this one back, by its own current release. */
export function gatingChannels(entry: ChannelEntry): readonly Channel[] {
  return (releaseOf(entry)?.release.channelEdges ?? [])
    .filter(({ gated }) => gated === entry.channel)
    .map(({ gates }) => gates);
}

/** Gating before gated (hazard 19), then by name. A cycle, which no verified head may close, is planned last and blocks itself. */
export function topological(entries: Iterable<ChannelEntry>): readonly Channel[] {
  const open = [...entries].toSorted((a, b) => compareNames(a.channel, b.channel));
  const known = new Set(open.map(({ channel }) => channel));
  const placed = new Set<Channel>();
  for (let before = -1; before !== placed.size; ) {
    before = placed.size;
    for (const entry of open) {
      const free = gatingChannels(entry).every((gate) => placed.has(gate) || !known.has(gate));
      if (free && !placed.has(entry.channel)) {
        placed.add(entry.channel);
        break;
      }
    }
  }
  return [...placed, ...[...known].filter((channel) => !placed.has(channel))];
}

/** Whether this release's channel edges would close a cycle with those of the other channels' current releases: then it is refused. */
export function closesCycle(entries: readonly ChannelEntry[], release: Release): boolean {
  const edges = new Map(entries.map((entry) => [entry.channel, gatingChannels(entry)]));
  edges.set(
    release.channel,
    release.channelEdges.filter(({ gated }) => gated === release.channel).map(({ gates }) => gates),
  );
  const open = [...(edges.get(release.channel) ?? [])];
  const seen = new Set<Channel>();
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === release.channel) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    open.push(...(edges.get(at) ?? []));
  }
  return false;
}
