import { derInteger, derItems, derUnsigned, derValue, oneDer, TAG } from "../identity/der.ts";
import { reading } from "../identity/malformed.ts";

/** The order of P-256's group. */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/**
 * An ECDSA P-256 signature with the lower of its two s, as we write it; both halves are accepted (hazard 86: a TPM gives either).
 * What is no signature in strict DER comes back as it is, for the verification to refuse.
 */
export function withLowS(signature: Uint8Array): Uint8Array {
  const low = reading(() => {
    const [r, s] = derItems(oneDer(signature, TAG.sequence), TAG.sequence).map(derUnsigned);
    if (r === undefined || s === undefined) return signature;
    const high = BigInt(`0x${Buffer.from(s).toString("hex")}`);
    if (high <= N / 2n || high >= N) return signature;
    const lower = Buffer.from((N - high).toString(16).padStart(64, "0"), "hex");
    return derValue(TAG.sequence, derInteger(r), derInteger(lower));
  });
  return low.ok ? low.value : signature;
}
