import { type HostName, type Instant, isHostName, ok, type Result } from "@nixwave/effects";
import type { Role } from "../route.ts";
import { formatInstant } from "../time.ts";
import { sameBytes } from "./base64.ts";
import { type Authority, type Certificate, readCertificate } from "./certificate.ts";
import { type Refusal, refuse } from "./malformed.ts";
import { DIGITAL_SIGNATURE, isSignedDerBy, OID } from "./profile.ts";

/** Who holds a certificate: one kind, one name. Revocation is the caller's to look up, with each request. */
export type CertificatePrincipal =
  | { readonly kind: "host"; readonly name: HostName; readonly role: null }
  | { readonly kind: "operator"; readonly name: string; readonly role: Role };

export interface Identified {
  readonly principal: CertificatePrincipal;
  readonly certificate: Certificate;
}

export type CertificateRefusal = Refusal<
  | "malformed"
  | "wrong-issuer"
  | "bad-signature"
  | "issuer-expired"
  | "not-yet-valid"
  | "expired"
  | "wrong-usage"
  | "wrong-name"
  | "many-names"
>;

const OPERATOR_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}$/;
/** 1 to 64 letters, digits, dots, dashes, _ or @, such as ops-2. */
export const isOperatorName = (text: string): boolean => OPERATOR_NAME.test(text);

const OPERATOR_URI = /^urn:nixwave:operator:(viewer|operator|admin):(.+)$/;
/** The one alternative name of an operator's certificate. A host's is a DNS name, so that neither can be taken for the other. */
export const operatorUri = (operator: { readonly name: string; readonly role: Role }): string =>
  `urn:nixwave:operator:${operator.role}:${operator.name}`;

/**
 * Who a TLS peer is, from the DER of its certificate. Complete in itself: it does not lean on what TLS has checked before,
 * because enrolment must let peers without a certificate in.
 */
export function principalOf(
  peerCertificate: Uint8Array,
  authorities: readonly Authority[],
  now: Instant,
): Result<Identified, CertificateRefusal> {
  const read = readCertificate(peerCertificate);
  if (!read.ok) return refuse("malformed", `The certificate is refused: ${read.error}.`);
  const certificate = read.value;
  const issued = checkIssuer(certificate, authorities, now);
  if (!issued.ok) return issued;
  const timely = checkTime(certificate, now);
  if (!timely.ok) return timely;
  const usable = checkUsage(certificate);
  if (!usable.ok) return usable;
  const principal = nameOf(certificate);
  return principal.ok ? ok({ principal: principal.value, certificate }) : principal;
}

type Check = Result<null, CertificateRefusal>;
const PASSED = ok(null);

function checkIssuer(
  certificate: Certificate,
  authorities: readonly Authority[],
  now: Instant,
): Check {
  const named = authorities.filter(({ subject }) => sameBytes(certificate.issuer, subject));
  if (named.length === 0) {
    return refuse("wrong-issuer", "The certificate was issued by another CA than this fleet's.");
  }
  const issuer = named.find(({ key }) => isSignedDerBy(key, certificate.signed));
  if (issuer === undefined) {
    return refuse(
      "bad-signature",
      "The certificate names this fleet's CA, whose signature it does not have.",
    );
  }
  if (now >= issuer.notBefore && now <= issuer.notAfter) return PASSED;
  return refuse(
    "issuer-expired",
    `The CA's own certificate holds from ${formatInstant(issuer.notBefore)} to ${formatInstant(issuer.notAfter)} only: check the clock, or make a new CA.`,
  );
}

function checkTime({ notBefore, notAfter }: Certificate, now: Instant): Check {
  if (now < notBefore) {
    return refuse(
      "not-yet-valid",
      `The certificate holds from ${formatInstant(notBefore)}, and it is ${formatInstant(now)}: one of the clocks is wrong.`,
    );
  }
  if (now <= notAfter) return PASSED;
  return refuse(
    "expired",
    `The certificate ended at ${formatInstant(notAfter)}: enrol again with it (the proof "previous").`,
  );
}

function checkUsage({ isAuthority, keyUsage, purposes }: Certificate): Check {
  const [purpose, ...others] = purposes;
  const isClient = purpose === OID.clientAuth && others.length === 0;
  if (!isAuthority && keyUsage === DIGITAL_SIGNATURE && isClient) return PASSED;
  return refuse("wrong-usage", "The certificate is not one for clients only: enrol to get one.");
}

function nameOf({
  attributes,
  altNames,
}: Certificate): Result<CertificatePrincipal, CertificateRefusal> {
  const [subject, ...otherSubjects] = attributes;
  const [alt, ...otherAlts] = altNames;
  if (otherSubjects.length > 0 || otherAlts.length > 0) {
    return refuse("many-names", "The certificate has more than one name: expected one.");
  }
  if (subject?.type !== OID.commonName || subject.text === null || alt === undefined) {
    return refuse(
      "wrong-name",
      "The certificate does not have its name both as the common name and as the alternative name.",
    );
  }
  const common = subject.text;
  const principal =
    alt.kind === "dns" ? hostOf(alt.text) : alt.kind === "uri" ? operatorOf(alt.text) : null;
  if (principal !== null && principal.name === common) return ok(principal);
  return refuse(
    "wrong-name",
    `The certificate's names ${JSON.stringify(common.slice(0, 64))} and ${JSON.stringify(alt.text.slice(0, 64))} are not one host's or one operator's.`,
  );
}

const hostOf = (text: string): CertificatePrincipal | null =>
  isHostName(text) ? { kind: "host", name: text, role: null } : null;

function operatorOf(uri: string): CertificatePrincipal | null {
  const [, role, name = ""] = OPERATOR_URI.exec(uri) ?? [];
  const known = role === "viewer" || role === "operator" || role === "admin";
  return known && isOperatorName(name) ? { kind: "operator", name, role } : null;
}
