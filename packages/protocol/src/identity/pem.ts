import { fromBase64, toBase64 } from "./base64.ts";
import { expects } from "./malformed.ts";

/** Larger than any certificate, request, key or signature that is accepted here. */
const PEM_LENGTH_MAX = 32 * 1024;

/**
 * The bytes of a text that is one block of this label and nothing else. Lines may end with CR LF and be of any length: hazard 87
 * was a reader that knew one way of wrapping only.
 */
export function fromPem(label: string, text: string): Uint8Array {
  expects(
    text.length <= PEM_LENGTH_MAX,
    `a ${label} block has at most ${PEM_LENGTH_MAX} characters`,
  );
  const lines = text.trim().split(/\r?\n/);
  expects(
    lines[0] === `-----BEGIN ${label}-----` && lines.at(-1) === `-----END ${label}-----`,
    `expected one block from -----BEGIN ${label}----- to -----END ${label}-----`,
  );
  return fromBase64(lines.slice(1, -1).join(""), `the body of the ${label} block`);
}

/** Wrapped at 64 characters as RFC 7468 asks, or at `width`. */
export function toPem(label: string, bytes: Uint8Array, width = 64): string {
  const lines = toBase64(bytes).match(new RegExp(`.{1,${width}}`, "g")) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
