import type { HostName } from "../ids.ts";
import type { Freeze } from "../rollout/input.ts";
import type { FleetChange } from "./change.ts";
import type { ChannelEntry } from "./channel.ts";
import type { FleetIndex } from "./fleetIndex.ts";
import type { HostChange } from "./hostChange.ts";
import { isWaveOpen, type RolloutEntry } from "./member.ts";
import { indexRelease } from "./releaseIndex.ts";

type WideChange = Exclude<FleetChange, HostChange>;

/** A change of a rollout, a channel or a freeze: one row, not one per host, unless it opens or closes a wave. */
export function applyToRollout(index: FleetIndex, change: WideChange): void {
  switch (change.kind) {
    case "ReleaseVerified":
      return verified(index, change);
    case "ChannelUnverified": {
      const entry = index.channel(change.channel);
      const { reason, since } = change;
      entry.unverified = reason === null ? null : { reason, since };
      return index.shift(entry);
    }
    case "RolloutChanged":
      return changed(index, change);
    case "QuarantineInserted": {
      const entry = index.channel(change.channel);
      if (!entry.quarantined.has(change.closure))
        entry.quarantined.set(change.closure, change.since);
      return touchClosure(index, entry, change);
    }
    case "QuarantineRemoved": {
      const entry = index.channel(change.channel);
      entry.quarantined.delete(change.closure);
      return touchClosure(index, entry, change);
    }
    case "FreezeInserted": {
      const { freeze } = change;
      const replaced = index.freezes.get(freeze.freezeId);
      if (replaced !== null) touchFrozen(index, replaced);
      index.freezes.insert(freeze);
      return touchFrozen(index, freeze);
    }
    case "FreezeRemoved": {
      const freeze = index.freezes.get(change.freezeId);
      index.freezes.remove(change.freezeId);
      return freeze === null ? undefined : touchFrozen(index, freeze);
    }
    case "ReplayBegan":
      for (const channel of change.channels) {
        const entry = index.channel(channel);
        entry.replay = { since: change.since, replayed: new Set() };
        entry.unreplayed = new Set(listedIn(entry.current));
        index.shift(entry);
      }
      return;
    case "ReplayEnded":
      for (const channel of change.channels) {
        const entry = index.channel(channel);
        entry.replay = null;
        entry.unreplayed = new Set();
        index.shift(entry);
      }
  }
}

const listedIn = (rollout: RolloutEntry | null): readonly HostName[] =>
  (rollout?.release?.hosts ?? []).map(({ host }) => host);

function verified(
  index: FleetIndex,
  { release, current, at }: WideChange & { readonly kind: "ReleaseVerified" },
): void {
  const entry = index.channel(release.channel);
  const rollout = index.rollout(release);
  entry.verified.set(release.rolloutId, rollout);
  if (rollout.release === null) {
    rollout.release = indexRelease(release);
    index.relist(rollout);
  }
  if (current) {
    entry.named = rollout;
    entry.metadataAt = at;
  }
  index.refresh(entry);
}

function changed(
  index: FleetIndex,
  { rollout }: WideChange & { readonly kind: "RolloutChanged" },
): void {
  const entry = index.channel(rollout.channel);
  const of = index.rollout(rollout);
  const before = of.rollout;
  of.rollout = rollout;
  if (before === null) entry.rollouts = [...entry.rollouts, of];
  if (before === null || before.kind !== rollout.kind) index.refresh(entry);
  else if (before.pause !== rollout.pause) index.agenda.shifted.add(of);
  index.agenda.progressed.add(of);
  for (let wave = (before?.cursor ?? rollout.cursor) + 1; wave <= rollout.cursor; wave += 1)
    touchAll(
      index,
      of,
      (of.release?.byWave.get(wave) ?? []).map(({ host }) => host),
    );
  if (rollout.kind !== "Pruned") return;
  for (const member of of.members.values()) index.drop(member);
  index.counts.forget(of);
  index.agenda.dropRollout(of);
}

function touchAll(index: FleetIndex, rollout: RolloutEntry, hosts: Iterable<HostName>): void {
  for (const host of hosts) {
    const member = rollout.members.get(host);
    if (member !== undefined) index.agenda.touched.add(member);
  }
}

function touchClosure(
  index: FleetIndex,
  entry: ChannelEntry,
  { closure }: WideChange & { readonly kind: "QuarantineInserted" | "QuarantineRemoved" },
): void {
  const newest = entry.rollouts.at(-1);
  if (newest === undefined) return;
  const hosts = newest.release?.byClosure.get(closure) ?? [];
  // Hosts of waves to come are looked at when their wave opens.
  const near = hosts.filter((host) => {
    const member = newest.members.get(host);
    return member !== undefined && isWaveOpen(member);
  });
  touchAll(index, newest, near);
}

/** What a freeze holds or lets go: a channel is one entry, hosts are each their own. */
function touchFrozen(index: FleetIndex, { scope }: Freeze): void {
  switch (scope.kind) {
    case "all":
      for (const entry of index.channels.values()) index.shift(entry);
      return;
    case "channel":
      return index.shift(index.channel(scope.channel));
    case "hosts":
      for (const name of scope.hosts) {
        const host = index.hosts.get(name);
        if (host !== undefined) index.touchHost(host);
      }
  }
}
