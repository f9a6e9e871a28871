import type { CpClock, CpLogger, MirroredFiles } from "@nixwave/cp";
import type { Channel, Release, RolloutId } from "@nixwave/effects";
import { type ReleaseSource, releaseSource, type WrittenRelease } from "@nixwave/protocol";

/** What one process of the control plane reads. */
export interface OpenedRepository {
  readonly source: ReleaseSource;
  readonly fingerprint: () => Promise<string>;
  readonly mirrored: MirroredFiles;
}

const NOTHING_MIRRORED: MirroredFiles = { metadata: async () => null, target: async () => null };

/** The releases that the world's operators publish. Outside of everything: it survives every crash. */
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

  /** For a process of the control plane that starts. */
  async opened(_clock: CpClock, _log: CpLogger): Promise<OpenedRepository> {
    const fingerprint = async () => String(this.#published);
    return { source: this.#source, fingerprint, mirrored: NOTHING_MIRRORED };
  }

  get #source(): ReleaseSource {
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
