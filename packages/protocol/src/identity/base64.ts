import { expects } from "./malformed.ts";

/**
 * Base64 with one spelling per value: padded, no white space, no unused bits set. Node's own decoder skips what it does not know,
 * and two spellings of one signature are two requests.
 */
export function fromBase64(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  expects(bytes.toString("base64") === text, `${what} is not base64 in its one spelling`);
  return bytes;
}

/** As fromBase64, in the alphabet of URLs and without padding (RFC 7515). */
export function fromBase64Url(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, "base64url");
  expects(bytes.toString("base64url") === text, `${what} is not base64url in its one spelling`);
  return bytes;
}

export const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
export const toBase64Url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
