import { type Instant, isInstant, type Sha256 } from "@nixwave/effects";
import { type OperatorTokenRecord, ROLES, type Role, sha256Text } from "@nixwave/protocol";
import { z } from "zod";
import { type Connection, openReadOnly } from "./database.ts";

/** A token as the database keeps it. Revoked ones stay: who could act, and until when, is asked later. */
export interface StoredToken extends OperatorTokenRecord {
  readonly createdBy: string;
  /** To the minute. */
  readonly lastUsedAt: Instant | null;
  readonly revokedAt: Instant | null;
}

export interface StoredOperatorCertificate {
  readonly serial: string;
  readonly name: string;
  readonly role: Role;
  readonly issuedAt: Instant;
  readonly issuedBy: string;
  readonly notAfter: Instant;
  readonly revokedAt: Instant | null;
}

const at = z.number().refine(isInstant);
const tokenRow = z
  .object({
    hash: sha256Text,
    name: z.string(),
    role: z.enum(ROLES),
    created_at: at,
    created_by: z.string(),
    expires_at: at,
    last_used_at: at.nullable(),
    revoked_at: at.nullable(),
  })
  .transform((row) => ({
    hash: row.hash,
    name: row.name,
    role: row.role,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  }));
const certificateRow = z
  .object({
    serial: z.string(),
    name: z.string(),
    role: z.enum(ROLES),
    issued_at: at,
    issued_by: z.string(),
    not_after: at,
    revoked_at: at.nullable(),
  })
  .transform((row) => ({
    serial: row.serial,
    name: row.name,
    role: row.role,
    issuedAt: row.issued_at,
    issuedBy: row.issued_by,
    notAfter: row.not_after,
    revokedAt: row.revoked_at,
  }));

/** Who may act as an operator, as of this moment: asked with each request, so that a revocation is in force with the next. */
export interface Operators {
  /** Undefined where it is none, or revoked. */
  readonly token: (hash: Sha256) => OperatorTokenRecord | undefined;
  readonly isCertificateRevoked: (serial: string) => boolean;
  readonly close: () => void;
}

/** Over a connection of its own that can only read. */
export function openOperators(path: string): Operators {
  const db = openReadOnly(path);
  const token = db.prepare("SELECT * FROM operator_tokens WHERE hash = ? AND revoked_at IS NULL");
  const revoked = db
    .prepare("SELECT 1 FROM operator_certificates WHERE serial = ? AND revoked_at IS NOT NULL")
    .pluck();
  return {
    token: (hash) => {
      const row = token.get(hash);
      return row === undefined ? undefined : tokenRow.parse(row);
    },
    isCertificateRevoked: (serial) => revoked.get(serial) !== undefined,
    close: () => void db.close(),
  };
}

export const listTokens = (db: Connection): readonly StoredToken[] =>
  db
    .prepare("SELECT * FROM operator_tokens ORDER BY created_at, hash")
    .all()
    .map((row) => tokenRow.parse(row));

export function addToken(db: Connection, record: OperatorTokenRecord, createdBy: string): void {
  const { hash, name, role, createdAt, expiresAt } = record;
  db.prepare(
    "INSERT INTO operator_tokens (hash, name, role, created_at, created_by, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
  ).run(hash, name, role, createdAt, createdBy, expiresAt);
}

export function revokeToken(db: Connection, hash: Sha256, now: Instant): void {
  db.prepare("UPDATE operator_tokens SET revoked_at = ? WHERE hash = ? AND revoked_at IS NULL").run(
    now,
    hash,
  );
}

export const listOperatorCertificates = (db: Connection): readonly StoredOperatorCertificate[] =>
  db
    .prepare("SELECT * FROM operator_certificates ORDER BY issued_at, serial")
    .all()
    .map((row) => certificateRow.parse(row));

export function addOperatorCertificate(
  db: Connection,
  { serial, name, role, issuedAt, issuedBy, notAfter }: StoredOperatorCertificate,
): void {
  db.prepare(
    "INSERT INTO operator_certificates (serial, name, role, issued_at, issued_by, not_after) VALUES (?, ?, ?, ?, ?, ?)",
  ).run(serial, name, role, issuedAt, issuedBy, notAfter);
}

export function revokeOperatorCertificate(db: Connection, serial: string, now: Instant): void {
  db.prepare(
    "UPDATE operator_certificates SET revoked_at = ? WHERE serial = ? AND revoked_at IS NULL",
  ).run(now, serial);
}
