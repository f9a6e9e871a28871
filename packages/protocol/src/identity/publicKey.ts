import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { sameBytes, toBase64Url, toHex } from "./base64.ts";
import { expects, Malformed } from "./malformed.ts";

/**
 * The two kinds of key that anything here is signed with. Ed25519: 32 bytes. P-256: 65 bytes, the uncompressed point.
 * Made by the functions of this file, which refuse weak and impossible keys.
 */
export interface PublicKey {
  readonly kind: "ed25519" | "p256";
  readonly bytes: Uint8Array;
}

/** DER up to the key's own bytes: there is one right SubjectPublicKeyInfo for each kind, so no reader is needed. */
const SPKI_HEAD = {
  ed25519: Buffer.from("302a300506032b6570032100", "hex"),
  p256: Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex"),
} as const;

/** 2^255 - 19, the field of Ed25519, little-endian as the encoding is. */
const FIELD = Buffer.from(`ed${"ff".repeat(30)}7f`, "hex");

/**
 * The y of every point whose order divides 8, the sign bit cleared. A signature "by" such a key holds for many messages
 * or all, and OpenSSL before 3.5 accepts it.
 */
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
]);

/** Whether 32 bytes encode a point in the one right way (y below the field's prime) that is not of small order. */
export function isSoundEd25519Point(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const y = Buffer.from(bytes);
  y[31] = (y[31] ?? 0) & 0x7f;
  const below = Buffer.compare(Buffer.from(y).reverse(), Buffer.from(FIELD).reverse()) < 0;
  return below && !SMALL_ORDER_Y.has(y.toString("hex"));
}

export function ed25519Key(bytes: Uint8Array): PublicKey {
  expects(bytes.length === 32, `an Ed25519 key has 32 bytes, not ${bytes.length}`);
  expects(
    isSoundEd25519Point(bytes),
    "the Ed25519 key is a weak one that everybody can sign with, or is not written in the one right way",
  );
  return opened({ kind: "ed25519", bytes: Uint8Array.from(bytes) });
}

export function p256Key(bytes: Uint8Array): PublicKey {
  expects(
    bytes.length === 65 && bytes[0] === 4,
    "a P-256 key is a point of 65 bytes, uncompressed",
  );
  return opened({ kind: "p256", bytes: Uint8Array.from(bytes) });
}

/** Reads a SubjectPublicKeyInfo. RSA, other curves and compressed points are refused. */
export function keyOfSpki(spki: Uint8Array): PublicKey {
  for (const kind of ["ed25519", "p256"] as const) {
    const head = SPKI_HEAD[kind];
    if (!sameBytes(spki.subarray(0, head.length), head)) continue;
    const bytes = spki.subarray(head.length);
    return kind === "ed25519" ? ed25519Key(bytes) : p256Key(bytes);
  }
  throw new Malformed("expected an Ed25519 key, or a P-256 key with an uncompressed point");
}

export const spkiOf = ({ kind, bytes }: PublicKey): Uint8Array =>
  Buffer.concat([SPKI_HEAD[kind], bytes]);

/** The key's JSON Web Key members, in the order in which RFC 7638 hashes them. */
export function jwkOf({ kind, bytes }: PublicKey): Readonly<Record<string, string>> {
  if (kind === "ed25519") return { crv: "Ed25519", kty: "OKP", x: toBase64Url(bytes) };
  const x = toBase64Url(bytes.subarray(1, 33));
  return { crv: "P-256", kty: "EC", x, y: toBase64Url(bytes.subarray(33)) };
}

/** RFC 7638: the SHA-256 of the key's JSON Web Key, base64url. */
export const thumbprint = (key: PublicKey): string =>
  createHash("sha256")
    .update(JSON.stringify(jwkOf(key)))
    .digest("base64url");

export const sameKey = (a: PublicKey, b: PublicKey): boolean =>
  a.kind === b.kind && sameBytes(a.bytes, b.bytes);

/** For a message: `ed25519 1f8b…`. */
export const shownKey = (key: PublicKey): string =>
  `${key.kind} ${toHex(key.bytes.subarray(0, 8))}…`;

/** Node's form of a key. OpenSSL refuses a point that is not on its curve, which is an error of the input. */
export function keyObject(key: PublicKey): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spkiOf(key)), format: "der", type: "spki" });
  } catch {
    throw new Malformed(`no point of its curve is the ${key.kind} key`);
  }
}

/** The public half of a private key of Node's. */
export function publicHalf(privateKey: KeyObject): PublicKey {
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return keyOfSpki(spki);
}

function opened(key: PublicKey): PublicKey {
  keyObject(key);
  return key;
}
