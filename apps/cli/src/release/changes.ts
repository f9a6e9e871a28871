import type { Channel, ClosureHash, HostName, Release, RolloutId } from "@nixwave/effects";

/** What a release changes of its channel, against the one that is current in the same folder. */
export interface Changes {
  readonly channel: Channel;
  readonly rolloutId: RolloutId;
  readonly previous: RolloutId | null;
  readonly hosts: number;
  readonly added: readonly HostName[];
  readonly removed: readonly HostName[];
  /** Hosts that get another closure. */
  readonly moved: readonly {
    readonly host: HostName;
    readonly from: ClosureHash;
    readonly to: ClosureHash;
  }[];
  /** What else is different: `waves`, `policy`, `budgets`, `edges`, `channelEdges`. */
  readonly rules: readonly string[];
}

const RULES = ["waves", "policy", "budgets", "edges", "channelEdges"] as const;

export function changesOf(release: Release, previous: Release | null): Changes {
  const before = new Map((previous?.hosts ?? []).map((host) => [host.host, host]));
  const after = new Set(release.hosts.map(({ host }) => host));
  return {
    channel: release.channel,
    rolloutId: release.rolloutId,
    previous: previous?.rolloutId ?? null,
    hosts: release.hosts.length,
    added: release.hosts.map(({ host }) => host).filter((host) => !before.has(host)),
    removed: [...before.keys()].filter((host) => !after.has(host)),
    moved: release.hosts.flatMap(({ host, closure: to }) => {
      const from = before.get(host)?.closure;
      return from === undefined || from === to ? [] : [{ host, from, to }];
    }),
    rules:
      previous === null
        ? []
        : RULES.filter((rule) => JSON.stringify(release[rule]) !== JSON.stringify(previous[rule])),
  };
}
