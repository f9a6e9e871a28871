import { type KeyObject, sign, verify } from "node:crypto";
import { derItems, derUnsigned, oneDer, TAG } from "./der.ts";
import { expects, reading } from "./malformed.ts";
import { isSoundEd25519Point, keyObject, type PublicKey, publicHalf } from "./publicKey.ts";

/**
 * The one place where a signature of an identity is checked: certificates, requests, SSH signatures and join tokens all come here, so
 * that no format is more lenient than another.
 *
 * Ed25519: 64 bytes; the key and R each written in the one right way and not of small order (OpenSSL before 3.5, so Node 22, accepts such keys);
 * S below the group's order (OpenSSL checks it).
 *
 * ECDSA P-256: DER as strict as can be, r and s from 1 to n - 1, nothing after them. Both s and n - s are accepted: half of what a
 * TPM signs has the higher one (hazard 86). A second valid signature of the same statement can therefore be made by anybody,
 * which harms nothing as long as no signature's bytes name anything: requests are told apart by what they state and prove.
 */
export function isSignedBy(signed: {
  readonly key: PublicKey;
  /** Ed25519: R and S. P-256: DER of r and s. */
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
}): boolean {
  const { key, signature, message } = signed;
  const sound = key.kind === "ed25519" ? isSoundEd25519(key, signature) : isSoundEcdsa(signature);
  if (!sound) return false;
  const opened = reading(() => keyObject(key));
  if (!opened.ok) return false;
  const hash = key.kind === "ed25519" ? null : "sha256";
  return verify(hash, message, opened.value, signature);
}

/** Signs with either kind of key, in the form that isSignedBy takes. */
export function signWith(privateKey: KeyObject, message: Uint8Array): Uint8Array {
  const hash = publicHalf(privateKey).kind === "ed25519" ? null : "sha256";
  return sign(hash, message, privateKey);
}

function isSoundEd25519(key: PublicKey, signature: Uint8Array): boolean {
  return (
    signature.length === 64 &&
    isSoundEd25519Point(key.bytes) &&
    isSoundEd25519Point(signature.subarray(0, 32))
  );
}

/** The order of P-256's group. */
const ORDER = Buffer.from(
  "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  "hex",
);

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
  return Buffer.compare(padded, ORDER) < 0;
}
