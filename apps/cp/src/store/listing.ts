import type { HostName, Release, ReleaseHost } from "@nixwave/effects";

const listings = new WeakMap<Release, ReadonlyMap<HostName, ReleaseHost>>();

/** The entry of a host in a release, or null. Indexed at the first question: a release never changes. */
export function listed(release: Release, host: HostName): ReleaseHost | null {
  const known = listings.get(release);
  if (known !== undefined) return known.get(host) ?? null;
  const fresh = new Map(release.hosts.map((entry) => [entry.host, entry]));
  listings.set(release, fresh);
  return fresh.get(host) ?? null;
}
