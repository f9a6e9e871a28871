import type { ClosureHash, HostName } from "../ids.ts";
import type { Budget, HostEdge, Release, ReleaseHost } from "../release.ts";

/** A release, sorted and indexed once: nothing scans it afterwards. */
export interface ReleaseIndex {
  readonly release: Release;
  /** By (wave, name), whatever the order was (hazard 27). */
  readonly hosts: readonly ReleaseHost[];
  readonly orderOf: ReadonlyMap<HostName, number>;
  readonly byWave: ReadonlyMap<number, readonly ReleaseHost[]>;
  readonly byClosure: ReadonlyMap<ClosureHash, readonly HostName[]>;
  readonly budgetsOf: ReadonlyMap<HostName, readonly Budget[]>;
  /** The edges that hold a host back. */
  readonly edgesInto: ReadonlyMap<HostName, readonly HostEdge[]>;
  /** The hosts that one host holds back. */
  readonly gatedBy: ReadonlyMap<HostName, readonly HostName[]>;
  readonly lastWave: number;
}

export const compareNames = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export function indexRelease(release: Release): ReleaseIndex {
  const hosts = release.hosts.toSorted((a, b) => a.wave - b.wave || compareNames(a.host, b.host));
  const members = release.budgets
    .toSorted((a, b) => compareNames(a.name, b.name))
    .flatMap((budget) => [...new Set(budget.hosts)].map((host) => ({ host, budget })));
  const edges = release.edges.toSorted((a, b) => compareNames(a.gates, b.gates));
  return {
    release,
    hosts,
    orderOf: new Map(hosts.map(({ host }, order) => [host, order])),
    byWave: groups(
      hosts,
      ({ wave }) => wave,
      (host) => host,
    ),
    byClosure: groups(
      hosts,
      ({ closure }) => closure,
      ({ host }) => host,
    ),
    budgetsOf: groups(
      members,
      ({ host }) => host,
      ({ budget }) => budget,
    ),
    edgesInto: groups(
      edges,
      ({ gated }) => gated,
      (edge) => edge,
    ),
    gatedBy: groups(
      edges,
      ({ gates }) => gates,
      ({ gated }) => gated,
    ),
    lastWave: release.waves.reduce((last, { index }) => Math.max(last, index), 0),
  };
}

function groups<T, K, V>(
  items: readonly T[],
  key: (item: T) => K,
  value: (item: T) => V,
): ReadonlyMap<K, readonly V[]> {
  const found = new Map<K, V[]>();
  for (const item of items) {
    const group = found.get(key(item));
    if (group === undefined) found.set(key(item), [value(item)]);
    else group.push(value(item));
  }
  return found;
}
