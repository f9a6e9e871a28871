import {
  type HostName,
  type Instant,
  instant,
  ok,
  type Result,
  type Sha256,
} from "@nixwave/effects";
import { sha256 } from "../hash.ts";
import { formatInstant } from "../time.ts";
import { fromBase64 } from "./base64.ts";
import type { Certificate } from "./certificate.ts";
import { type CertificateRequest, readCertificateRequest } from "./csr.ts";
import {
  type EnrolmentFacts,
  type EnrolmentRefusal,
  type IssuedCertificate,
  isRevoked,
  isRevokedFrom,
} from "./enrolmentFacts.ts";
import { judgeProof } from "./enrolmentProof.ts";
import { type EnrolmentRequest, enrolmentDigest } from "./enrolmentRequest.ts";
import { reading, refuse } from "./malformed.ts";
import type { PublicKey } from "./publicKey.ts";

/** What to do for a request: issue and remember, or give the same certificate again. */
export type EnrolmentVerdict =
  | {
      readonly kind: "issue";
      readonly host: HostName;
      readonly key: PublicKey;
      readonly requestDigest: Sha256;
      /** To be kept with the certificate; older signed requests of the host are refused from then on. */
      readonly requestedAt: Instant | null;
      /** To be reserved in the transaction of this verdict, before the certificate is signed (hazard 67). */
      readonly nonce: { readonly value: string; readonly expiresAt: Instant } | null;
    }
  | { readonly kind: "again"; readonly certificate: Certificate };

type Judged<T> = Result<T, EnrolmentRefusal>;

/**
 * Whether a host gets a certificate. One answer per request: the same request again, its answer lost, gets the same certificate,
 * and of two that use one nonce the first that is committed wins.
 */
export function judgeEnrolment(
  request: EnrolmentRequest,
  facts: EnrolmentFacts,
  now: Instant,
): Judged<EnrolmentVerdict> {
  if (request.controlPlane !== facts.controlPlane) {
    return refuse(
      "wrong-cp",
      `The request is for the control plane ${request.controlPlane}, and this is ${facts.controlPlane}: correct the name or the address in the agent's configuration.`,
    );
  }
  const { host, proof } = request;
  const admitted = admit(host, facts, now);
  if (!admitted.ok) return admitted;
  const requestDigest = enrolmentDigest(request);
  const { lastIssued } = facts;
  if (lastIssued?.requestDigest === requestDigest) return again(lastIssued, facts, now);
  const csr = readRequest(request);
  if (!csr.ok) return csr;
  const { key } = csr.value;
  const proven = judgeProof(request, { facts, key, requestDigest, now });
  if (!proven.ok) return proven;
  const nonce = proven.value;
  // Nothing signed the date of a request with a token.
  const requestedAt =
    proof.kind === "token" ? (lastIssued?.requestedAt ?? null) : request.requestedAt;
  return ok({ kind: "issue", host, key, requestDigest, requestedAt, nonce });
}

/**
 * Whether a host gets its next certificate over a connection that the present one opened: TLS has proven who asks, and the caller
 * that the present one is not revoked. The same request again gets the same certificate here too.
 */
export function judgeRenewal(
  renewal: { readonly host: HostName; readonly csr: string },
  facts: Pick<EnrolmentFacts, "declared" | "revocation" | "lastIssued">,
  now: Instant,
): Judged<EnrolmentVerdict> {
  const { host, csr } = renewal;
  const admitted = admit(host, facts, now);
  if (!admitted.ok) return admitted;
  const requestDigest = sha256(`nixwave renewal 1\nhost ${host}\nrequest ${sha256(csr)}\n`);
  const { lastIssued } = facts;
  if (lastIssued?.requestDigest === requestDigest) return again(lastIssued, facts, now);
  const read = readRequest(renewal);
  if (!read.ok) return read;
  const requestedAt = lastIssued?.requestedAt ?? null;
  return ok({ kind: "issue", host, key: read.value.key, requestDigest, requestedAt, nonce: null });
}

function admit(
  host: HostName,
  { declared, revocation }: Pick<EnrolmentFacts, "declared" | "revocation">,
  now: Instant,
): Judged<null> {
  if (declared === null) {
    return refuse(
      "unknown-host",
      `${host} is not in fleet/hosts.json: add it with \`nixwave host add\`.`,
    );
  }
  if (!isRevokedFrom(revocation, instant(Math.floor(now / 1000) * 1000))) return ok(null);
  return refuse(
    "revoked",
    `${host} is revoked: take it out of fleet/revocations.json if that is no longer meant.`,
  );
}

function again(
  { certificate }: IssuedCertificate,
  { revocation }: Pick<EnrolmentFacts, "revocation">,
  now: Instant,
): Judged<EnrolmentVerdict> {
  if (isRevoked(revocation, certificate)) {
    return refuse("revoked", "The certificate that answered this request is revoked: enrol anew.");
  }
  if (now <= certificate.notAfter) return ok({ kind: "again", certificate });
  return refuse(
    "expired",
    `The certificate that answered this request ended at ${formatInstant(certificate.notAfter)}: make a new request, signed with its key (the proof "previous").`,
  );
}

function readRequest(request: {
  readonly host: HostName;
  readonly csr: string;
}): Judged<CertificateRequest> {
  const der = reading(() => fromBase64(request.csr, "it"));
  const read = der.ok ? readCertificateRequest(der.value) : der;
  if (!read.ok) {
    return refuse("malformed-request", `The certificate request is refused: ${read.error}.`);
  }
  if (read.value.name === request.host) return read;
  return refuse(
    "wrong-name",
    `The certificate request asks for ${read.value.name}, and the request is ${request.host}'s: expected one name.`,
  );
}
