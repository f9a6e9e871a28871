import type { Channel, FreezeId, HostName } from "../ids.ts";
import type { Freeze } from "../rollout/input.ts";
import type { Instant } from "../time.ts";

/** It expires by itself: `until` is the first instant at which it holds nothing. */
export const isInForce = ({ since, until }: Freeze, now: Instant): boolean =>
  since <= now && (until === null || now < until);

/** Freezes by what they hold, so that a gate asks for those of one host or channel alone. */
export class Freezes {
  readonly #all = new Map<FreezeId, Freeze>();
  readonly #byScope = new Map<string, Map<FreezeId, Freeze>>();

  get(freezeId: FreezeId): Freeze | null {
    return this.#all.get(freezeId) ?? null;
  }

  list(): readonly Freeze[] {
    return [...this.#all.values()];
  }

  insert(freeze: Freeze): void {
    this.remove(freeze.freezeId);
    this.#all.set(freeze.freezeId, freeze);
    for (const key of keysOf(freeze)) {
      const scoped = this.#byScope.get(key) ?? new Map<FreezeId, Freeze>();
      this.#byScope.set(key, scoped.set(freeze.freezeId, freeze));
    }
  }

  remove(freezeId: FreezeId): void {
    const freeze = this.#all.get(freezeId);
    if (freeze === undefined) return;
    this.#all.delete(freezeId);
    for (const key of keysOf(freeze)) {
      const scoped = this.#byScope.get(key);
      scoped?.delete(freezeId);
      if (scoped?.size === 0) this.#byScope.delete(key);
    }
  }

  /** The one that lasts longest of those that hold the whole channel, or null. */
  ofChannel(channel: Channel, now: Instant): Freeze | null {
    return this.#longest([ALL, channelKey(channel)], now);
  }

  ofHost(host: HostName, now: Instant): Freeze | null {
    return this.#longest([hostKey(host)], now);
  }

  #longest(keys: readonly string[], now: Instant): Freeze | null {
    return keys
      .flatMap((key) => [...(this.#byScope.get(key)?.values() ?? [])])
      .filter((freeze) => isInForce(freeze, now))
      .reduce<Freeze | null>((last, freeze) => (lasts(freeze, last) ? freeze : last), null);
  }
}

function lasts(freeze: Freeze, other: Freeze | null): boolean {
  if (other === null) return true;
  const [a, b] = [
    freeze.until ?? Number.POSITIVE_INFINITY,
    other.until ?? Number.POSITIVE_INFINITY,
  ];
  return a === b ? freeze.freezeId < other.freezeId : a > b;
}

// A space is in no id, so a channel's key is never a host's.
const ALL = "all";
const channelKey = (channel: Channel): string => `channel ${channel}`;
const hostKey = (host: HostName): string => `host ${host}`;

function keysOf({ scope }: Freeze): readonly string[] {
  switch (scope.kind) {
    case "all":
      return [ALL];
    case "channel":
      return [channelKey(scope.channel)];
    case "hosts":
      return scope.hosts.map(hostKey);
  }
}
