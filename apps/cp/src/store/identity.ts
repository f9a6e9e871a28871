import { type HostName, type Instant, isInstant, type Sha256 } from "@nixwave/effects";
import { hostName, sha256Text } from "@nixwave/protocol";
import { z } from "zod";

/** A certificate that was given out. The last one of each host is kept for ever: a laptop comes back with it after years. */
export interface StoredCertificate {
  readonly host: HostName;
  /** Hex. */
  readonly serial: string;
  readonly der: Uint8Array;
  readonly requestDigest: Sha256;
  /** As the request signed it; null where nothing signed it. */
  readonly requestedAt: Instant | null;
  readonly issuedAt: Instant;
  readonly notAfter: Instant;
}

/** The nonce of a join token that is used up, or reserved for the request whose certificate is being signed. */
export interface StoredNonce {
  readonly nonce: string;
  readonly host: HostName;
  readonly requestDigest: Sha256;
  readonly expiresAt: Instant;
  readonly isAnswered: boolean;
}

/** What enrolment has to remember, in the writer's memory and in these tables. */
export interface IdentityRecords {
  readonly lastIssued: Map<HostName, StoredCertificate>;
  readonly nonces: Map<string, StoredNonce>;
  /** From when on every used nonce is known here; null where nothing was ever lost. */
  readonly noncesSince: Instant | null;
}

export const noRecords = (): IdentityRecords => ({
  lastIssued: new Map(),
  nonces: new Map(),
  noncesSince: null,
});

const at = z.number().refine(isInstant);

export const certificateRow = z
  .object({
    host: hostName,
    serial: z.string(),
    der: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
    request_digest: sha256Text,
    requested_at: at.nullable(),
    issued_at: at,
    not_after: at,
  })
  .transform((row) => ({
    host: row.host,
    serial: row.serial,
    der: row.der,
    requestDigest: row.request_digest,
    requestedAt: row.requested_at,
    issuedAt: row.issued_at,
    notAfter: row.not_after,
  }));

export const nonceRow = z
  .object({
    nonce: z.string(),
    host: hostName,
    request_digest: sha256Text,
    expires_at: at,
    is_answered: z.literal([0, 1]),
  })
  .transform((row) => ({
    nonce: row.nonce,
    host: row.host,
    requestDigest: row.request_digest,
    expiresAt: row.expires_at,
    isAnswered: row.is_answered === 1,
  }));

export const markRow = z.object({ at }).transform((row) => row.at);

/** The mark of the table `marks` that says since when nonces are complete. */
export const NONCES_SINCE = "nonces-since";
/** The last that was given to each host. */
export const LAST_ISSUED =
  "SELECT * FROM certificates AS c WHERE place = (SELECT max(place) FROM certificates WHERE host = c.host) ORDER BY host";
