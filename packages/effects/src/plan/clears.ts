import type { Channel, ChannelRef, ClosureHash, FreezeId, HostName } from "../ids.ts";
import type { RolloutEntry } from "./member.ts";

/** As long as the CLI needs to know a ref by. */
const SHORT_REF = 7;
const WHY = '--reason "…"';

/** A rollout as people write it: `edge@77d01e4`. */
export const shortName = (channel: Channel, ref: ChannelRef): string =>
  `${channel}@${ref.slice(0, SHORT_REF)}`;

function named({ channel, release, rollout }: RolloutEntry): string {
  const ref = rollout?.ref ?? release?.release.ref;
  return ref === undefined ? channel : shortName(channel, ref);
}

/** The commands that clear a wait, as a person types them. */
export const CLEARS = {
  clear: (rollout: RolloutEntry) => `nixwave clear ${named(rollout)} ${WHY}`,
  resume: (rollout: RolloutEntry) => `nixwave resume ${named(rollout)} ${WHY}`,
  advance: (rollout: RolloutEntry) => `nixwave advance ${named(rollout)} ${WHY}`,
  retry: (host: HostName) => `nixwave retry ${host} ${WHY}`,
  unfreeze: (freezeId: FreezeId) => `nixwave unfreeze ${freezeId} ${WHY}`,
  lift: (channel: Channel, closure: ClosureHash) =>
    `nixwave quarantine lift ${channel} ${closure} ${WHY}`,
  refresh: () => "nixwave refresh",
  release: () => "nixwave release",
  resumeAfterRestore: () => `nixwave resume-after-restore ${WHY}`,
} as const;
