import { type KeyObject, sign, verify } from "node:crypto";
import { derItems, derUnsigned, oneDer, TAG } from "./der.ts";
import { expects, reading } from "./malformed.ts";
import { isSoundEd25519Point, keyObject, type PublicKey, publicHalf } from "./publicKey.ts";

/**
 * The one place where a signature of an identity is checked: certificates, requests, SSH signatures and join tokens all come here, so
 * that no format is more lenient than another.
 *
 * Both s and n - s are accepted of ECDSA: half of what a TPM signs has the higher one (hazard 86). A second valid signature of the same
 * statement can therefore be made by anybody, which harms nothing as long as no signature's bytes name anything: requests
 * are told apart by what they state and prove.
 */
export function isSignedBy(signed: {
  readonly key: PublicKey;
  /** Ed25519: R and S. P-256: DER of r and s. */
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
}): boolean {
  const { key, signature, message } = signed;
  if (!isSoundSignature(key, signature)) return false;
  const opened = reading(() => keyObject(key));
  if (!opened.ok) return false;
  const hash = key.kind === "ed25519" ? null : "sha256";
  return verify(hash, message, opened.value, signature);
}

/**
 * Whether a signature is written in the one right way, whatever it signs. Asked before the library is, because libraries differ: OpenSSL
 * before 3.5, so Node 22, accepts Ed25519 keys of small order, with which everybody can sign.
 *
 * Ed25519: 64 bytes; the key and R each in the one right way and not of small order; S below the group's order.
 * ECDSA P-256: DER as strict as can be, r and s from 1 to n - 1, nothing after them.
 */
export const isSoundSignature = (key: PublicKey, signature: Uint8Array): boolean =>
  key.kind === "ed25519" ? isSoundEd25519(key, signature) : isSoundEcdsa(signature);

/** Signs with either kind of key, in the form that isSignedBy takes. */
export function signWith(privateKey: KeyObject, message: Uint8Array): Uint8Array {
  const hash = publicHalf(privateKey).kind === "ed25519" ? null : "sha256";
  return sign(hash, message, privateKey);
}

/** The orders of the two groups, big-endian. */
const ORDER = {
  ed25519: Buffer.from(`1${"0".repeat(31)}14def9dea2f79cd65812631a5cf5d3ed`, "hex"),
  p256: Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex"),
} as const satisfies Record<PublicKey["kind"], Uint8Array>;

const isBelow = (bigEndian: Uint8Array, order: Uint8Array): boolean =>
  Buffer.compare(bigEndian, order) < 0;

function isSoundEd25519(key: PublicKey, signature: Uint8Array): boolean {
  return (
    signature.length === 64 &&
    isSoundEd25519Point(key.bytes) &&
    isSoundEd25519Point(signature.subarray(0, 32)) &&
    isBelow(Uint8Array.from(signature.subarray(32)).reverse(), ORDER.ed25519)
  );
}

/** r and s of 33 bytes with their sign byte, and eight bytes of DER. */
const ECDSA_BYTES_MAX = 72;

function isSoundEcdsa(signature: Uint8Array): boolean {
  if (signature.length > ECDSA_BYTES_MAX) return false;
  return reading(() => {
    const numbers = derItems(oneDer(signature, TAG.sequence), TAG.sequence);
    expects(numbers.length === 2, "an ECDSA signature is two numbers");
    for (const number of numbers) expects(isScalar(derUnsigned(number)), "not within the order");
  }).ok;
}

/** From 1 to n - 1, of bytes without needless zeros. */
function isScalar(unsigned: Uint8Array): boolean {
  if (unsigned.length > 32 || (unsigned.length === 1 && unsigned[0] === 0)) return false;
  const padded = Buffer.concat([Buffer.alloc(32 - unsigned.length), unsigned]);
  return isBelow(padded, ORDER.p256);
}
