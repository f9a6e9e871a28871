import type { Instant } from "@nixwave/effects";
import {
  type Authority,
  type Certificate,
  commonNameOf,
  formatInstant,
  renewAt,
} from "@nixwave/protocol";
import type { IdentityState, Setback } from "./state.ts";

/** What `status --json` says of this host's identity. Instants are RFC 3339. */
export interface IdentityShown {
  readonly state: IdentityState["kind"];
  readonly certificate: {
    readonly name: string;
    readonly issuer: string;
    readonly serial: string;
    readonly expiresAt: string;
    /** When it is renewed, or has been due since. */
    readonly renewAt: string;
  } | null;
  /** Why the last request brought no certificate, or null. */
  readonly setback: {
    readonly code: string;
    readonly sentence: string;
    readonly retryAt: string;
  } | null;
  /** In words. */
  readonly says: string;
}

export interface ShownParts {
  readonly state: IdentityState;
  readonly setback: Setback | null;
  readonly host: string;
  readonly authorities: readonly Authority[];
}

export function shownIdentity({ state, setback, host, authorities }: ShownParts): IdentityShown {
  const held = "certificate" in state ? state.certificate : null;
  return {
    state: state.kind,
    certificate:
      held === null
        ? null
        : {
            name: host,
            issuer: issuerOf(held, authorities),
            serial: held.serial,
            expiresAt: formatInstant(held.notAfter),
            renewAt: formatInstant(renewAt(held)),
          },
    setback:
      setback === null
        ? null
        : {
            code: setback.code,
            sentence: setback.sentence,
            retryAt: formatInstant(setback.retryAt),
          },
    says: saysOf(state, { host, authorities }) + because(state, setback),
  };
}

const until = (at: Instant): string => formatInstant(at);

function saysOf(
  state: IdentityState,
  { host, authorities }: Pick<ShownParts, "host" | "authorities">,
): string {
  switch (state.kind) {
    case "None":
      return `${host} has no certificate yet.`;
    case "Enrolling":
      return `${host} has no certificate yet and enrols (${WITH[state.proof]}).`;
    case "Valid":
    case "Due": {
      const { certificate } = state;
      const when = state.kind === "Valid" ? "is renewed from" : "has been due for renewal since";
      return `${host} has a certificate of ${issuerOf(certificate, authorities)} until ${until(certificate.notAfter)}; it ${when} ${until(renewAt(certificate))}.`;
    }
    case "Expired":
      return state.by === "time"
        ? `${host}'s certificate ended at ${until(state.certificate.notAfter)}; another is asked for.`
        : `The control plane does not accept ${host}'s certificate; another is asked for.`;
    case "Refused":
      return state.certificate === null
        ? `${host} has no certificate, and was refused one.`
        : `${host} was refused another certificate; the present one ends at ${until(state.certificate.notAfter)}.`;
  }
}

const WITH = {
  ssh: "with its SSH host key",
  token: "with a join token",
  previous: "with the key of its last certificate",
  unheard: "with the key of a request that was not answered",
  renewal: "with its present certificate",
} as const;

/** A setback that the state does not have to be about: one valid certificate is enough. */
const because = (state: IdentityState, setback: Setback | null): string =>
  setback === null || state.kind === "Valid" ? "" : ` ${setback.sentence}`;

function issuerOf({ issuer }: Certificate, authorities: readonly Authority[]): string {
  const by = authorities.find(({ subject }) => Buffer.compare(subject, issuer) === 0);
  return (by === undefined ? null : commonNameOf(by)) ?? "an unknown CA";
}
