import { type KeyObject, verify } from "node:crypto";

/** The order of P-256's group. */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const TAG_SEQUENCE = 0x30;
const TAG_INTEGER = 0x02;
/** 33 bytes each for r and s, and their heads: every length fits the short form of DER. */
const DER_BYTES_MAX = 72;

/**
 * ECDSA P-256 with SHA-256 over a signature in strict DER. High and low s are both taken: TPMs give either, and nothing
 * here is named by the bytes of its signature, so that the second form is of no use to anyone.
 */
export function verifyEcdsa(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  return parseDer(signature) !== null && verify("sha256", message, key, signature);
}

/** The same signature with the lower of its two s, as we write it; null if it is no signature in strict DER. */
export function withLowS(signature: Uint8Array): Uint8Array | null {
  const parsed = parseDer(signature);
  if (parsed === null) return null;
  const { r, s } = parsed;
  return s > N / 2n ? sequence(Buffer.concat([integer(r), integer(N - s)])) : signature;
}

function parseDer(bytes: Uint8Array): { r: bigint; s: bigint } | null {
  if (bytes.length > DER_BYTES_MAX || bytes[0] !== TAG_SEQUENCE) return null;
  if (bytes[1] !== bytes.length - 2) return null;
  const r = parseInteger(bytes.subarray(2));
  if (r === null) return null;
  const rest = bytes.subarray(2 + r.size);
  const s = parseInteger(rest);
  if (s === null || s.size !== rest.length) return null;
  return { r: r.value, s: s.value };
}

/** A positive, minimal integer below N, with the bytes that it takes. */
function parseInteger(bytes: Uint8Array): { value: bigint; size: number } | null {
  const [tag, length = 0, first = 0, second = 0] = bytes;
  const size = 2 + length;
  if (tag !== TAG_INTEGER || length < 1 || length > 33 || bytes.length < size) return null;
  const negative = first >= 0x80;
  const padded = length > 1 && first === 0 && second < 0x80;
  if (negative || padded) return null;
  const value = BigInt(`0x${Buffer.from(bytes.subarray(2, size)).toString("hex")}`);
  return value >= 1n && value < N ? { value, size } : null;
}

function integer(value: bigint): Uint8Array {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
  const padded = (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  return Buffer.concat([Buffer.of(TAG_INTEGER, padded.length), padded]);
}

const sequence = (content: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.of(TAG_SEQUENCE, content.length), content]);
