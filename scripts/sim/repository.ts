import type { Channel, Release, RolloutId } from "@nixwave/effects";
import {
  currentPath,
  type ReleaseSource,
  releaseSource,
  type WrittenRelease,
} from "@nixwave/protocol";

/** The signed releases that the world's operators publish. Outside of everything: it survives every crash. */
export class ReleaseRepository {
  readonly releases = new Map<RolloutId, Release>();
  readonly #files = new Map<string, Uint8Array>();
  #published = 0;

  publish({ release, files }: WrittenRelease): void {
    for (const { path, bytes } of files) this.#files.set(path, bytes);
    this.releases.set(release.rolloutId, release);
    this.#published += 1;
  }

  get channels(): readonly Channel[] {
    return [...new Set([...this.releases.values()].map(({ channel }) => channel))].sort();
  }

  read(path: string): Uint8Array | null {
    return this.#files.get(path) ?? null;
  }

  fingerprint(): string {
    return String(this.#published);
  }

  isCurrent({ channel, ref }: Release): boolean {
    const bytes = this.read(currentPath(channel));
    return bytes !== null && new TextDecoder().decode(bytes).includes(ref);
  }

  get source(): ReleaseSource {
    return releaseSource({
      read: async (path) => this.read(path),
      list: async (folder) =>
        folder === ""
          ? this.channels
          : [...this.#files.keys()]
              .filter((path) => path.startsWith(`${folder}/`))
              .map((path) => path.slice(folder.length + 1))
              .sort(),
    });
  }
}
