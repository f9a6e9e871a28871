import { type KeyObject, verify } from "node:crypto";

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

const littleEndian = (bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
const ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
const ORDER_8_Y = littleEndian(Buffer.from(ORDER_8, "hex"));

/** The y of the points of order 1, 2, 4 and 8: a key or an R among them makes one signature fit many messages. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([0n, 1n, P - 1n, ORDER_8_Y, P - ORDER_8_Y]);

/** Whether 32 bytes spell a point in the one canonical way, and one of large order. */
export function isSoundPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const y = BigInt.asUintN(255, littleEndian(bytes));
  return y < P && !SMALL_ORDER_Y.has(y);
}

/**
 * RFC 8032 without its freedoms: R of large order and in canonical form, S below the group's order. The caller has
 * looked at the key with isSoundPoint: the OpenSSL of Node 22 takes any.
 */
export function verifyEd25519(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  if (!isSoundPoint(signature.subarray(0, 32))) return false;
  if (littleEndian(signature.subarray(32)) >= L) return false;
  return verify(null, message, key, signature);
}
