import { STDERR_TAIL_MAX_BYTES } from "./activation.ts";

/** The end of a text, cut to so many bytes of UTF-8 without leaving half a character at its head. */
export function lastBytes(text: string, bytesMax: number): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= bytesMax) return text;
  let from = bytes.length - bytesMax;
  // Bytes 10xxxxxx continue a character that began before the cut.
  while (from < bytes.length && ((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1;
  return new TextDecoder().decode(bytes.subarray(from));
}

/** What an event carries of a unit's output: at most 4 KiB. */
export const stderrTail = (text: string): string =>
  lastBytes(text.trimEnd(), STDERR_TAIL_MAX_BYTES);

/**
 * Which component keeps a system from being switched live, by a line `component: NAME` that the script printed. Where it
 * named none, all that is known is that the system as a whole needs the reboot.
 */
export function deferredComponent(output: string): string {
  const named = [...output.matchAll(/^component: ([^\s]{1,128})$/gm)].at(-1);
  return named?.[1] ?? "system";
}
