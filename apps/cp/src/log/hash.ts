import { hash } from "node:crypto";
import { invariant, isSha256, type Sha256 } from "@nixwave/effects";

/** SHA-256 of bytes, or of a text's UTF-8. */
export function sha256(data: string | Uint8Array): Sha256 {
  const hex = hash("sha256", data);
  invariant(isSha256(hex), "a SHA-256 in hex has 64 digits");
  return hex;
}
