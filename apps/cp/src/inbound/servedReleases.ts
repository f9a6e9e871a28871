import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Channel, ChannelRef } from "@nixwave/effects";

/** The files of one release of 100,000 hosts, 512 buckets of about 90 kB, and room for its predecessor's. Files. */
const CACHED_MAX = 1200;

/**
 * The release files that agents may fetch. current.json says what was verified, never what lies in the directory;
 * every other file is named by the hash of its bytes, and is served only if they still have it. What was read once comes
 * from memory, so that a fleet which asks for one bucket reads the disk once.
 */
export class ServedReleases {
  readonly #dir: string;
  readonly #current = new Map<Channel, Buffer>();
  readonly #files = new Map<string, Buffer>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The verified release that the channel's current.json names from now on. */
  publish({ channel, ref }: { readonly channel: Channel; readonly ref: ChannelRef }): void {
    this.#current.set(channel, Buffer.from(`${JSON.stringify({ channel, ref })}\n`));
  }

  current(channel: Channel): Buffer | null {
    return this.#current.get(channel) ?? null;
  }

  /** `name` is `<ref>.json` or `<sha256>.json`, checked by the route's schema. Null where there is no such file. */
  async file(channel: Channel, name: string): Promise<Buffer | null> {
    if (!this.#current.has(channel)) return null;
    const path = join(this.#dir, channel, name);
    const cached = this.#files.get(path);
    if (cached !== undefined) return cached;
    const bytes = await readFile(path).catch(() => null);
    if (bytes === null) return null;
    const digest = createHash("sha256").update(bytes).digest("hex");
    // A ref is the hash, cut.
    if (!digest.startsWith(name.slice(0, -".json".length))) return null;
    if (this.#files.size >= CACHED_MAX) this.#files.clear();
    this.#files.set(path, bytes);
    return bytes;
  }
}
