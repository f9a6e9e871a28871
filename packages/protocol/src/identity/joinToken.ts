import type { KeyObject } from "node:crypto";
import { type HostName, type Instant, instant, invariant, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import { hostName } from "../ids.ts";
import { sentence } from "../problem.ts";
import { formatInstant } from "../time.ts";
import { fromBase64Url, toBase64Url } from "./base64.ts";
import { expects, Malformed, type Refusal, reading, refuse } from "./malformed.ts";
import { type PublicKey, publicHalf, thumbprint } from "./publicKey.ts";
import { isSignedBy } from "./signature.ts";

/** What a join token states: this host may enrol once, at this CP, with this key or any, before it expires. */
export interface JoinToken {
  readonly host: HostName;
  readonly controlPlane: string;
  /** RFC 7638 thumbprint of the key that the certificate is to name; null for any key. */
  readonly keyThumbprint: string | null;
  readonly nonce: string;
  readonly issuedAt: Instant;
  readonly expiresAt: Instant;
}

export type JoinTokenRefusal = Refusal<
  | "malformed-proof"
  | "unknown-token-key"
  | "bad-signature"
  | "wrong-cp"
  | "expired"
  | "future-dated"
>;

/** Of this project only: a token that the same key signs for another purpose is none of these. */
const TYPE = "nixwave-join+jwt";
const TOKEN_LENGTH_MAX = 2048;
/** The clocks of who makes a token and of the CP may differ by this. */
export const TOKEN_CLOCK_SECS = 10 * 60;
/** A token is for a machine that is being installed. Also bounds how long a used nonce has to be remembered. */
export const TOKEN_VALID_SECS_MAX = 7 * 24 * 3600;
export const TOKEN_VALID_SECS = 24 * 3600;
const NONCE_BYTES_MIN = 16;

/** No `crit`, no `jwk`, no `jku`: a header that asks for anything else is refused. */
const header = z.strictObject({
  alg: z.literal("EdDSA"),
  typ: z.literal(TYPE),
  kid: z.string().max(64),
});

const seconds = z.int().min(0).max(253_402_300_799);
const claims = z.object({
  sub: hostName,
  aud: z.string().min(1).max(253),
  jti: z
    .string()
    .regex(/^[A-Za-z0-9_-]{22,64}$/, { error: "expected at least 16 random bytes, base64url" }),
  iat: seconds,
  exp: seconds,
  cnf: z.strictObject({ jkt: z.string().regex(/^[A-Za-z0-9_-]{43}$/) }).optional(),
});

/** Makes a token: a JSON Web Token, EdDSA, by one of the keys of fleet/enrolment.json. `nonce` are random bytes. */
export async function makeJoinToken(token: {
  readonly privateKey: KeyObject;
  readonly host: HostName;
  readonly controlPlane: string;
  readonly keyThumbprint: string | null;
  readonly nonce: Uint8Array;
  readonly now: Instant;
  readonly validSecs: number;
}): Promise<string> {
  const { privateKey, now, validSecs } = token;
  const key = publicHalf(privateKey);
  invariant(key.kind === "ed25519", "join tokens are signed with Ed25519");
  invariant(token.nonce.length >= NONCE_BYTES_MIN, `a nonce has at least ${NONCE_BYTES_MIN} bytes`);
  invariant(
    validSecs > 0 && validSecs <= TOKEN_VALID_SECS_MAX,
    `a join token is valid for at most ${TOKEN_VALID_SECS_MAX} seconds`,
  );
  // Only who makes a token needs jose, which takes about 40 ms to load.
  const { SignJWT } = await import("jose");
  const issuedAt = Math.floor(now / 1000);
  return new SignJWT(token.keyThumbprint === null ? {} : { cnf: { jkt: token.keyThumbprint } })
    .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid: thumbprint(key) })
    .setSubject(token.host)
    .setAudience(token.controlPlane)
    .setJti(toBase64Url(token.nonce))
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + Math.ceil(validSecs))
    .sign(privateKey);
}

/**
 * Checks signature, form, CP and times. The signature comes first: nothing is read of a token that nobody signed. jose's own check is
 * asynchronous, and could not be made within the transaction that uses the nonce up; a test holds the two to one answer.
 */
export function checkJoinToken(
  text: string,
  expected: {
    readonly keys: readonly PublicKey[];
    readonly controlPlane: string;
    readonly now: Instant;
  },
): Result<JoinToken, JoinTokenRefusal> {
  const parts = reading(() => partsOfToken(text));
  if (!parts.ok) return refuse("malformed-proof", `The join token is refused: ${parts.error}.`);
  const head = header.safeParse(parts.value.header);
  if (!head.success) {
    return refuse(
      "malformed-proof",
      `The join token is refused: ${sentence(head.error, "header")}. Make it with \`nixwave join-token\`.`,
    );
  }
  const key = expected.keys.find(
    (candidate) => candidate.kind === "ed25519" && thumbprint(candidate) === head.data.kid,
  );
  if (key === undefined) {
    return refuse(
      "unknown-token-key",
      "The join token's key is not in fleet/enrolment.json: sign it with one that is, or add the key.",
    );
  }
  const { signature, signedText } = parts.value;
  if (!isSignedBy({ key, signature, message: Buffer.from(signedText) })) {
    return refuse("bad-signature", "The join token's signature does not hold: it was altered.");
  }
  return readClaims(parts.value.payload, expected);
}

function readClaims(
  payload: unknown,
  expected: { readonly controlPlane: string; readonly now: Instant },
): Result<JoinToken, JoinTokenRefusal> {
  const read = claims.safeParse(payload);
  if (!read.success) {
    return refuse(
      "malformed-proof",
      `The join token is refused: ${sentence(read.error, "claims")}. Make it with \`nixwave join-token\`.`,
    );
  }
  const { sub, aud, jti, iat, exp, cnf } = read.data;
  const token: JoinToken = {
    host: sub,
    controlPlane: aud,
    keyThumbprint: cnf?.jkt ?? null,
    nonce: jti,
    issuedAt: instant(iat * 1000),
    expiresAt: instant(exp * 1000),
  };
  if (aud !== expected.controlPlane) {
    return refuse(
      "wrong-cp",
      `The join token is for the control plane ${JSON.stringify(aud)}, and this is ${expected.controlPlane}.`,
    );
  }
  return checkTimes(token, expected.now);
}

/** Both sides of the window, and its width (hazards 81 and 82). */
function checkTimes(token: JoinToken, now: Instant): Result<JoinToken, JoinTokenRefusal> {
  const { issuedAt, expiresAt } = token;
  if (issuedAt > now + TOKEN_CLOCK_SECS * 1000) {
    return refuse(
      "future-dated",
      `The join token is dated ${formatInstant(issuedAt)}, and it is ${formatInstant(now)}: set the clock of the machine that made it.`,
    );
  }
  if (expiresAt <= issuedAt || expiresAt - issuedAt > TOKEN_VALID_SECS_MAX * 1000) {
    return refuse(
      "malformed-proof",
      `The join token is valid from ${formatInstant(issuedAt)} to ${formatInstant(expiresAt)}: expected at most ${TOKEN_VALID_SECS_MAX / 86_400} days.`,
    );
  }
  if (now < expiresAt) return ok(token);
  return refuse(
    "expired",
    `The join token ended at ${formatInstant(expiresAt)}: make another with \`nixwave join-token\`.`,
  );
}

/** Takes a token apart without checking anything but its form. Throws Malformed. */
export function partsOfToken(text: string) {
  expects(text.length <= TOKEN_LENGTH_MAX, `it has more than ${TOKEN_LENGTH_MAX} characters`);
  const parts = text.split(".");
  const [head, payload, signature] = parts;
  expects(
    parts.length === 3 && head !== undefined && payload !== undefined && signature !== undefined,
    "it does not have three parts",
  );
  return {
    header: jsonOf(head),
    payload: jsonOf(payload),
    signature: fromBase64Url(signature, "its signature"),
    signedText: `${head}.${payload}`,
  };
}

function jsonOf(part: string): unknown {
  const bytes = fromBase64Url(part, "a part of it");
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Malformed("a part of it is not JSON");
  }
}
