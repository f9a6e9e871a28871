import type { HostName } from "@nixwave/effects";
import type { EnrolmentKey, FleetHosts, RevokedHost } from "@nixwave/protocol";

/** The signed files of `fleet/` as they were verified last: whoever decides by one takes it from here at that moment. */
export interface FleetFacts {
  /** `fleet/hosts.json`: the only source for enrolment. Empty where the repository has none. */
  readonly hosts: FleetHosts;
  /** `fleet/enrolment.json`: who may sign join tokens. */
  readonly enrolmentKeys: readonly EnrolmentKey[];
  /** `fleet/revocations.json`: the whole list; a host that is no longer in it is no longer revoked. */
  readonly revocations: ReadonlyMap<HostName, RevokedHost>;
}

/** What the fleet's owners signed about who is who. */
export interface FleetTrust {
  /**
   * Null until something was verified in this life of the process or one before it: then nobody enrols, and who holds a
   * certificate is served by it alone. A repository that goes bad leaves what was verified last.
   */
  facts(): FleetFacts | null;
  /** Calls back after each change, before any release of the same state is decided on; the answer ends it. */
  onChange(call: (facts: FleetFacts) => void): () => void;
}
