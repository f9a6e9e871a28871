import { createPublicKey, ECDH, type KeyObject } from "node:crypto";
import { err, ok, type Result, type Sha256 } from "@nixwave/effects";
import { z } from "zod";
import { sha256 } from "../hash.ts";
import { verifyEcdsa } from "./ecdsa.ts";
import { isSoundPoint, verifyEd25519 } from "./ed25519.ts";

/** Longer than a PEM of either kind of key. */
const KEY_TEXT_MAX = 1024;
const KEY_NAME_MAX = 128;

/** A key as TUF metadata spell it. Fields that are not here are kept. */
export const tufKeySchema = z.looseObject({
  keytype: z.string().max(64),
  scheme: z.string().max(64),
  keyval: z.looseObject({ public: z.string().max(KEY_TEXT_MAX) }),
  /** Whose key it is, for people. */
  "x-nixwave-name": z.string().max(KEY_NAME_MAX).optional(),
});
export type TufKey = z.output<typeof tufKeySchema>;

/** A public key that was looked at: on its curve, of large order, in the one encoding. */
export interface PublicKey {
  readonly kind: "ed25519" | "ecdsa-p256";
  /** DER of the SubjectPublicKeyInfo: the same for every text that spells this key. */
  readonly spki: Uint8Array;
  readonly key: KeyObject;
}

const ED25519_HEAD = Buffer.from("302a300506032b6570032100", "hex");
const P256_HEAD = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex");

/** Whether `signature` is this key's over `message`, strictly. It never throws. */
export function verifySignature(
  key: PublicKey,
  { message, signature }: { message: Uint8Array; signature: Uint8Array },
): boolean {
  try {
    const check = key.kind === "ed25519" ? verifyEd25519 : verifyEcdsa;
    return check(key.key, message, signature);
  } catch {
    return false;
  }
}

/** Reads DER of a SubjectPublicKeyInfo: named curve, uncompressed point, nothing around it. The error is a sentence. */
export function readSpki(der: Uint8Array): Result<PublicKey, string> {
  const bytes = Buffer.from(der);
  const isEd25519 = bytes.length === 44 && bytes.subarray(0, 12).equals(ED25519_HEAD);
  const isP256 =
    bytes.length === 91 && bytes.subarray(0, 26).equals(P256_HEAD) && bytes[26] === 0x04;
  if (!isEd25519 && !isP256) {
    return err("expected an Ed25519 or ECDSA P-256 public key with an uncompressed point");
  }
  if (isEd25519 && !isSoundPoint(bytes.subarray(12))) {
    return err("its Ed25519 point is of small order or not in canonical form");
  }
  try {
    const key = createPublicKey({ key: bytes, format: "der", type: "spki" });
    return ok({ kind: isEd25519 ? "ed25519" : "ecdsa-p256", spki: bytes, key });
  } catch {
    return err("its point does not lie on the curve");
  }
}

const PEM =
  /^-----BEGIN PUBLIC KEY-----\r?\n((?:[A-Za-z0-9+/]{1,64}={0,2}\r?\n){1,8})-----END PUBLIC KEY-----\s{0,4}$/;

/** Reads one PEM block, with either line ending, and nothing around it. The error is a sentence. */
export function readPublicPem(text: string): Result<PublicKey, string> {
  const body = text.length <= KEY_TEXT_MAX ? PEM.exec(text)?.[1] : undefined;
  if (body === undefined) return err("expected one PEM block BEGIN PUBLIC KEY");
  const base64 = body.replaceAll(/\r?\n/g, "");
  const der = Buffer.from(base64, "base64");
  // Buffer.from takes what it can and drops the rest; writing it again shows that.
  if (der.toString("base64") !== base64) return err("its PEM is not well-formed base64");
  return readSpki(der);
}

const HEX = /^(?:[0-9a-f]{2})+$/;

/** Reads the key of TUF metadata: hex of the raw key or point, or PEM. The error is a sentence. */
export function readTufKey({ keytype, scheme, keyval }: TufKey): Result<PublicKey, string> {
  const kind = kindOf({ keytype, scheme });
  if (kind === null) {
    const named = `${JSON.stringify(keytype)} with scheme ${JSON.stringify(scheme)}`;
    return err(`expected a key of type ed25519 or ecdsa-sha2-nistp256, not ${named}`);
  }
  const text = keyval.public;
  const read = text.startsWith("-----BEGIN") ? readPublicPem(text) : readHex(kind, text);
  if (!read.ok || read.value.kind === kind) return read;
  return err(`its text is a key of kind ${read.value.kind}, its type says ${kind}`);
}

function kindOf({ keytype, scheme }: { keytype: string; scheme: string }) {
  if (keytype === "ed25519" && scheme === "ed25519") return "ed25519";
  const p256 = "ecdsa-sha2-nistp256";
  return scheme === p256 && (keytype === p256 || keytype === "ecdsa") ? "ecdsa-p256" : null;
}

function readHex(kind: PublicKey["kind"], text: string): Result<PublicKey, string> {
  if (!HEX.test(text)) return err("expected a PEM or lower-case hex digits");
  const raw = Buffer.from(text, "hex");
  if (kind === "ed25519") return readSpki(Buffer.concat([ED25519_HEAD, raw]));
  try {
    const point = ECDH.convertKey(raw, "prime256v1", undefined, undefined, "uncompressed");
    return readSpki(Buffer.concat([P256_HEAD, Buffer.from(point)]));
  } catch {
    return err("its point does not lie on the curve");
  }
}

/** The key as our metadata spell it, under its owner's name. */
export function toTufKey({ kind, spki }: PublicKey, name: string): TufKey {
  const named = name === "" ? {} : { "x-nixwave-name": name };
  if (kind === "ed25519") {
    const hex = Buffer.from(spki.subarray(12)).toString("hex");
    return { keytype: "ed25519", scheme: "ed25519", keyval: { public: hex }, ...named };
  }
  const scheme = "ecdsa-sha2-nistp256";
  return { keytype: scheme, scheme, keyval: { public: publicPem(spki) }, ...named };
}

export function publicPem(spki: Uint8Array): string {
  const lines =
    Buffer.from(spki)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN PUBLIC KEY-----\n${lines.join("\n")}\n-----END PUBLIC KEY-----\n`;
}

/**
 * SHA-256 over the canonical JSON of type, scheme and value. Not over the name: who renames a key has not made another,
 * and no key counts twice towards a threshold.
 */
export function keyIdOf({ keytype, scheme, keyval }: TufKey): Sha256 {
  const text = (value: string) => `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  return sha256(
    `{"keytype":${text(keytype)},"keyval":{"public":${text(keyval.public)}},"scheme":${text(scheme)}}`,
  );
}

/** What people call a key: its name, and the first digits of its id. */
export function nameOfKey(key: TufKey): string {
  const short = keyIdOf(key).slice(0, 12);
  const name = key["x-nixwave-name"];
  return name === undefined || name === "" ? short : `${name} (${short})`;
}
