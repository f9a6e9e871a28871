import { timingSafeEqual } from "node:crypto";
import {
  addSecs,
  type Instant,
  invariant,
  isSha256,
  ok,
  type Result,
  type Sha256,
} from "@nixwave/effects";
import { sha256 } from "../hash.ts";
import type { Role } from "../route.ts";
import { formatInstant } from "../time.ts";
import { toBase64Url } from "./base64.ts";
import { type Refusal, refuse } from "./malformed.ts";
import { isOperatorName } from "./principal.ts";

/** So that a secret scanner, and a person, sees what it is. */
const PREFIX = "nwt_";
/** As many as a SHA-256 has: nobody guesses it, so the hash needs no salt and no stretching. */
export const OPERATOR_TOKEN_BYTES = 32;
export const OPERATOR_TOKEN_DAYS = 90;
const TOKEN = /^nwt_[A-Za-z0-9_-]{43}$/;

/** What is kept of a token; nobody can make the token from it. */
export interface OperatorTokenRecord {
  readonly hash: Sha256;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: Instant;
  /** From this instant on it is refused. */
  readonly expiresAt: Instant;
}

export type OperatorTokenRefusal = Refusal<"malformed" | "unknown-token" | "expired">;

/** Makes a token of random bytes. `token` is shown once and kept nowhere. */
export function makeOperatorToken(operator: {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly role: Role;
  readonly now: Instant;
  readonly days?: number;
}): { readonly token: string; readonly record: OperatorTokenRecord } {
  const { bytes, name, role, now, days = OPERATOR_TOKEN_DAYS } = operator;
  invariant(bytes.length === OPERATOR_TOKEN_BYTES, `a token has ${OPERATOR_TOKEN_BYTES} bytes`);
  invariant(isOperatorName(name), `no operator's name: ${name}`);
  const token = `${PREFIX}${toBase64Url(bytes)}`;
  const expiresAt = addSecs(now, days * 24 * 3600);
  return { token, record: { hash: sha256(token), name, role, createdAt: now, expiresAt } };
}

/** The hash under which a token is looked for; null for a text that is none. */
export const operatorTokenHash = (token: string): Sha256 | null =>
  TOKEN.test(token) ? sha256(token) : null;

/**
 * Whose token it is. `find` looks a record up by its hash. An index compares hashes in steps that an observer can time, which tells
 * him about a hash and so nothing about any token; the last word is a comparison that takes the same time for every record.
 */
export function checkOperatorToken(
  token: string,
  find: (hash: Sha256) => OperatorTokenRecord | undefined,
  now: Instant,
): Result<OperatorTokenRecord, OperatorTokenRefusal> {
  const hash = operatorTokenHash(token);
  if (hash === null) {
    return refuse(
      "malformed",
      `The token is not one of ours: expected ${PREFIX} and 43 characters.`,
    );
  }
  const record = find(hash);
  if (record === undefined || !sameHash(record.hash, hash)) {
    return refuse(
      "unknown-token",
      "The token is not known here: it was revoked, or is another CP's.",
    );
  }
  if (now < record.expiresAt) return ok(record);
  return refuse(
    "expired",
    `The token of ${record.name} ended at ${formatInstant(record.expiresAt)}: an admin makes another with \`nixwave-cp token add\`.`,
  );
}

function sameHash(a: Sha256, b: Sha256): boolean {
  invariant(isSha256(a), "a stored hash is a SHA-256");
  return timingSafeEqual(Buffer.from(a, "hex"), Buffer.from(b, "hex"));
}
