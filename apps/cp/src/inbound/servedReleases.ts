import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Channel, ChannelRef } from "@nixwave/effects";

/** The files of one release of 100,000 hosts, 512 buckets of about 90 kB, and room for its predecessor's. Files. */
const CACHED_MAX = 1200;

/**
 * The release files that agents may fetch. current.json names what the channel is to run, which was verified, whatever
 * lies in the directory; every other file is named by the hash of its bytes, and is served only if they still have it.
 * What was read once comes from memory, so that a fleet which asks for one bucket reads the disk once.
 */
export class ServedReleases {
  readonly #dir: string;
  readonly #currentRef: (channel: Channel) => ChannelRef | null;
  readonly #files = new Map<string, Buffer>();

  constructor(dir: string, currentRef: (channel: Channel) => ChannelRef | null) {
    this.#dir = dir;
    this.#currentRef = currentRef;
  }

  current(channel: Channel): Buffer | null {
    const ref = this.#currentRef(channel);
    return ref === null ? null : Buffer.from(`${JSON.stringify({ channel, ref })}\n`);
  }

  /** `name` is `<ref>.json` or `<sha256>.json`, checked by the route's schema. Null where there is no such file. */
  async file(channel: Channel, name: string): Promise<Buffer | null> {
    if (this.#currentRef(channel) === null) return null;
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
