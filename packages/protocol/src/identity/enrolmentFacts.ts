import { addSecs, type Channel, type Instant, type Sha256 } from "@nixwave/effects";
import { BACKDATE_SECS, type Certificate } from "./certificate.ts";
import type { JoinTokenRefusal } from "./joinToken.ts";
import type { Refusal } from "./malformed.ts";
import type { PublicKey } from "./publicKey.ts";
import type { SshSignatureRefusal } from "./sshSignature.ts";

/** A certificate that was given out, and the request that it answered. */
export interface IssuedCertificate {
  readonly certificate: Certificate;
  readonly requestDigest: Sha256;
  /** As the request signed it; null where nothing signed it (a join token's). */
  readonly requestedAt: Instant | null;
}

/** Null `before`: the host is refused. Otherwise what was issued before that instant is (a re-imaged machine). */
export interface Revocation {
  readonly before: Instant | null;
}

/** What the CP knows of the host that a request names, and of enrolment. */
export interface EnrolmentFacts {
  readonly controlPlane: string;
  /** From fleet/hosts.json; `sshHostKey` as OpenSSH writes it. */
  readonly declared: { readonly channel: Channel; readonly sshHostKey: string | null } | null;
  /** From fleet/enrolment.json. */
  readonly enrolmentKeys: readonly PublicKey[];
  /** From fleet/revocations.json. */
  readonly revocation: Revocation | null;
  readonly lastIssued: IssuedCertificate | null;
  /** Nonces that are used up or reserved, and by which request; `isAnswered` once its certificate is committed. */
  readonly nonces: Pick<
    ReadonlyMap<string, { readonly requestDigest: Sha256; readonly isAnswered: boolean }>,
    "get"
  >;
  /**
   * Since when `nonces` is complete: when this database was made, or restored from a backup. A token from before it may have been used
   * without our knowing (hazard 68). Null where nothing was ever lost.
   */
  readonly noncesSince: Instant | null;
}

export type EnrolmentRefusal =
  | Refusal<
      | "wrong-cp"
      | "unknown-host"
      | "revoked"
      | "malformed-request"
      | "wrong-name"
      | "expired"
      | "future-dated"
      | "replayed-request"
      | "replayed-token"
      | "token-for-another-host"
      | "token-not-known-unused"
      | "key-mismatch"
      | "malformed-proof"
      | "bad-signature"
      | "no-host-key"
      | "host-key-declared"
      | "never-enrolled"
    >
  | JoinTokenRefusal
  | SshSignatureRefusal;

/** When a certificate of ours was made: it holds from a little before. */
export const issuedAt = ({ notBefore }: Pick<Certificate, "notBefore">): Instant =>
  addSecs(notBefore, BACKDATE_SECS);

/** Whether the signed list refuses the holder of this certificate. To be asked with each request. */
export const isRevoked = (
  revocation: Revocation | null,
  certificate: Pick<Certificate, "notBefore">,
): boolean => isRevokedFrom(revocation, issuedAt(certificate));

/** Whether the list refuses what was issued at an instant of whole seconds: one from the very second counts as older. */
export const isRevokedFrom = (revocation: Revocation | null, at: Instant): boolean =>
  revocation !== null && (revocation.before === null || at <= revocation.before);
