import { addSecs, type Channel, type HostName } from "@nixwave/effects";
import type { Draft } from "./draft.ts";

/** Closes the gate `replay` on every channel that has a release; where it is closed already it stays as it is. */
export function beginReplay(draft: Draft): void {
  const { memory, now } = draft;
  const fresh = memory.fleet.channels().filter((channel) => !memory.replaying.has(channel));
  if (fresh.length === 0) return;
  for (const channel of fresh) {
    memory.replaying.set(channel, now);
    draft.observe({ kind: "ReplayGateSet", channel, since: now });
  }
  memory.heldTaken = false;
  memory.fleet.apply({ kind: "ReplayBegan", channels: fresh, since: now });
}

/**
 * Heard, with nothing more to send than the log has. Before the repository's older releases were taken that says nothing: the streams
 * of a release that this log lost would be taken for those of an unknown one.
 */
export function hostReplayed({ memory }: Draft, host: HostName): void {
  if (memory.replaying.size === 0 || !memory.heldTaken || memory.replayed.has(host)) return;
  memory.replayed.add(host);
  memory.fleet.apply({ kind: "HostReplayed", host });
}

/**
 * A release that is known only now: nobody could be asked for its streams before, so whoever was heard by then is heard again. Without this
 * a heartbeat that comes before the first look at the repository counts as a replay of nothing.
 */
export function replayAgain({ memory }: Draft): void {
  memory.replayed.clear();
  for (const [channel, since] of memory.replaying)
    memory.fleet.apply({ kind: "ReplayBegan", channels: [channel], since });
}

/** Takes the gate away where it holds nobody any more, so that the next start does not wait for all hosts again. */
export function endReplayWhereOver(draft: Draft): void {
  const over = [...draft.memory.replaying.keys()].filter((channel) => isOver(draft, channel));
  if (over.length > 0) endReplay(draft, over);
}

export function endReplay(draft: Draft, channels: readonly Channel[]): void {
  for (const channel of channels) {
    draft.memory.replaying.delete(channel);
    draft.observe({ kind: "ReplayGateSet", channel, since: null });
  }
  draft.memory.fleet.apply({ kind: "ReplayEnded", channels });
}

function isOver({ memory, now }: Draft, channel: Channel): boolean {
  const release = memory.fleet.currentRelease(channel);
  if (release === null) return false;
  const { offlineGraceSecs } = release.policy;
  const graceOver = now >= addSecs(memory.fleet.readyAt, offlineGraceSecs);
  return release.hosts.every(({ host }) => {
    if (memory.replayed.has(host)) return true;
    const heardAt = memory.hosts.get(host)?.lastHeardAt ?? null;
    return graceOver && (heardAt === null || now >= addSecs(heardAt, offlineGraceSecs));
  });
}
