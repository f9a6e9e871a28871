import type { FleetState, HostName, Release } from "@nixwave/effects";
import { listed } from "../store/listing.ts";

/** The current release that lists the host; the first by channel order where two do, which the gates then report. */
export function releaseOf(fleet: FleetState, host: HostName): Release | null {
  for (const channel of fleet.channels()) {
    const release = fleet.currentRelease(channel);
    if (release !== null && listed(release, host) !== null) return release;
  }
  return null;
}

/** Of every host that a current release lists or that was ever heard of: by name. */
export function everyHost(fleet: FleetState): readonly HostName[] {
  const names = new Set(fleet.hostNames());
  for (const channel of fleet.channels()) {
    for (const { host } of fleet.currentRelease(channel)?.hosts ?? []) names.add(host);
  }
  return [...names].sort();
}

/** Whether anything is known of the host: listed in a current release, or heard of. */
export const isKnown = (fleet: FleetState, host: HostName): boolean =>
  fleet.host(host) !== null || releaseOf(fleet, host) !== null;
