import type { HostName, Result } from "@nixwave/effects";
import {
  decodeEnrolmentKeys,
  decodeFleetHosts,
  decodeRevocations,
  type EnrolmentKey,
  type FleetFile,
  type FleetHosts,
  fleetFileOf,
  fleetTarget,
  type Metadata,
  openRepository,
  type RevokedHost,
  type Targets,
} from "@nixwave/protocol";
import { Refusal } from "../refusal.ts";
import { must } from "./outcome.ts";
import type { Place } from "./settings.ts";

/** The files of `fleet/`, decoded; what a repository does not have is empty. */
export interface FleetFiles {
  readonly hosts: FleetHosts;
  readonly keys: readonly EnrolmentKey[];
  readonly revoked: ReadonlyMap<HostName, RevokedHost>;
}

export async function fleetFilesOf(place: Place, targets: Metadata<Targets>): Promise<FleetFiles> {
  const read = async <T>(
    file: FleetFile,
    none: T,
    decode: (bytes: Uint8Array) => Result<T, string>,
  ): Promise<T> => {
    const target = fleetTarget(file);
    const bytes = await fleetFileOf(place.path, target, targets);
    if (bytes === null) {
      if (targets.signed.targets[target] === undefined) return none;
      throw new Refusal(`${place.shown}/targets/${target} is signed, and its bytes are gone.`);
    }
    const decoded = decode(bytes);
    if (decoded.ok) return decoded.value;
    throw new Refusal(`${place.shown}/targets/${target}: ${decoded.error}.`);
  };
  return {
    hosts: await read<FleetHosts>("hosts.json", new Map(), decodeFleetHosts),
    keys: await read<readonly EnrolmentKey[]>("enrolment.json", [], decodeEnrolmentKeys),
    revoked: await read<FleetFiles["revoked"]>("revocations.json", new Map(), decodeRevocations),
  };
}

/** As the next change finds them: what waits for signatures is changed further, and not forgotten. */
export async function nextFleetFiles(place: Place): Promise<FleetFiles> {
  const { live, pending } = await must(openRepository(place.path));
  return await fleetFilesOf(place, pending.targets ?? live.targets);
}
