import type { HostName } from "@nixwave/effects";
import type { DeclaredHost, FleetHost, FleetHosts } from "@nixwave/protocol";
import { hostNamed } from "../find.ts";

type Declared = Readonly<Record<string, DeclaredHost>>;

/** Who is who, as the declaration alone says it: what a new repository begins with. */
export const declaredHosts = (hosts: Declared): FleetHosts =>
  new Map(
    Object.entries(hosts).map(([name, { channel, sshHostKey }]) => [
      hostNamed(name),
      { channel, sshHostKey },
    ]),
  );

/** What a release changes of fleet/hosts.json. */
export interface HostChanges {
  /** New ones, and those whose SSH key is another. They are signed before the release that lists them. */
  readonly before: FleetHosts;
  /** Hosts that went from one channel to another: clients refuse a release of the old one that still lists them. */
  readonly moved: ReadonlyMap<HostName, FleetHost>;
}

/**
 * What has to be signed so that these hosts may be released. A host that is declared no more stays who it is, for `nixwave host retire`
 * to take away: the releases that still list it would be refused as a whole. A key that the declaration does not say stays as it is.
 */
export function hostChanges(signed: FleetHosts, declared: FleetHosts): HostChanges {
  const before = new Map<HostName, FleetHost>();
  const moved = new Map<HostName, FleetHost>();
  for (const [host, { channel, sshHostKey }] of declared) {
    const was = signed.get(host);
    const now = { channel, sshHostKey: sshHostKey ?? was?.sshHostKey ?? null };
    if (was === undefined) before.set(host, now);
    else if (was.channel !== channel) moved.set(host, now);
    else if (was.sshHostKey !== now.sshHostKey) before.set(host, now);
  }
  return { before, moved };
}
