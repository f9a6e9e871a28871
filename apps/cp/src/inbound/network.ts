import { isIPv6 } from "node:net";

const MAPPED = /^::ffff:(?<four>\d{1,3}(?:\.\d{1,3}){3})$/i;

/**
 * What strangers are counted by: an address, and of IPv6 the /64 that a single customer has, who could otherwise come from
 * another address each time.
 */
export function networkOf(address: string): string {
  const mapped = MAPPED.exec(address)?.groups?.["four"];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const before = head === "" ? [] : head.split(":");
  // An address that ends in dots has two groups fewer than it has words; they are never among the first four.
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const words = after.length + (after.at(-1)?.includes(".") === true ? 1 : 0);
  const zeros = tail === undefined ? 0 : 8 - before.length - words;
  const all = [...before, ...Array.from({ length: zeros }, () => "0"), ...after];
  const first = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${first.join(":")}::/64`;
}
