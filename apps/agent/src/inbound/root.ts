import { err, ok, type Result } from "@nixwave/effects";
import { decodeMetadata } from "@nixwave/protocol";
import type { Disk } from "../ports.ts";

/** The root.json that came with the host, or one sentence with its path and what to do. */
export function readRoot(path: string, disk: Disk): Result<Uint8Array, string> {
  const what = `root: ${path}`;
  let text: string | null;
  try {
    text = disk.readText(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return err(`${what} can't be read: ${why}.`);
  }
  if (text === null)
    return err(`${what} is not there: install the root.json that nixwave init made.`);
  const bytes = Buffer.from(text);
  const root = decodeMetadata("root", bytes);
  return root.ok ? ok(bytes) : err(`${what} is no root of a signed repository: ${root.error}.`);
}
