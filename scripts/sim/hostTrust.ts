import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ControlPlane,
  type HostReleases,
  type Journal,
  SignedReleases,
  systemDisk,
} from "@nixwave/agent";
import type { Channel, ChannelRef } from "@nixwave/effects";
import type { RealWork } from "@nixwave/testkit";

export interface HostTrustParts {
  readonly stateDir: string;
  readonly root: Uint8Array;
  readonly channel: Channel;
  readonly realWork: RealWork;
  readonly nowMs: () => number;
  /** A clone has what the other machine remembered. */
  readonly from: HostTrust | null;
}

/** What one host trusts: the agent's own verification, over a directory that outlives every process of it. */
export class HostTrust {
  readonly stateDir: string;
  readonly #parts: HostTrustParts;
  /** Versions of the channel's role that were verified, the newest last, and since when. */
  readonly #known: { readonly version: number; readonly sinceMs: number }[] = [];
  /** By release: what was known when it was found last, or when it was asked for if something else may have been learnt meanwhile. */
  readonly #asked = new Map<ChannelRef, number>();

  constructor(parts: HostTrustParts) {
    this.#parts = parts;
    this.stateDir = parts.stateDir;
    mkdirSync(this.stateDir, { recursive: true });
    const { from } = parts;
    if (from !== null && existsSync(from.stateDir))
      cpSync(from.stateDir, this.stateDir, { recursive: true });
  }

  /** The version of the channel's role that was known when this release was asked for, or at that time: the newer. */
  knownFor(ref: ChannelRef, ms: number): number {
    const before = this.#known.findLast(({ sinceMs }) => sinceMs <= ms)?.version ?? 0;
    return Math.max(this.#asked.get(ref) ?? 0, before);
  }

  get #newest(): number {
    return this.#known.at(-1)?.version ?? 0;
  }

  /** Reads what the agent remembers, as the file has it. */
  #note(): void {
    const path = join(this.stateDir, "trust", `${this.#parts.channel}.json`);
    if (!existsSync(path)) return;
    const { signed }: { readonly signed: { readonly version: number } } = JSON.parse(
      readFileSync(path, "utf8"),
    );
    if (signed.version === this.#known.at(-1)?.version) return;
    this.#known.push({ version: signed.version, sinceMs: this.#parts.nowMs() });
  }

  /** For one process. */
  releases(journal: Journal, controlPlane: ControlPlane): HostReleases {
    const { root, channel, realWork } = this.#parts;
    const { stateDir } = this;
    const turn = new Turn(realWork);
    let refreshes = 0;
    let refreshing = 0;
    const watched: ControlPlane = {
      ...controlPlane,
      repositoryFile: (journalId, path, options) =>
        turn.away(path, controlPlane.repositoryFile(journalId, path, options)),
    };
    const signed = new SignedReleases({
      stateDir,
      root,
      channel,
      journal,
      controlPlane: watched,
      disk: systemDisk,
    });
    return {
      find: async (wanted, now) => {
        const before = { version: this.#newest, refreshes, isRefreshing: refreshing > 0 };
        const found = await turn.take(signed.find(wanted, now));
        this.#note();
        const isAlone = !before.isRefreshing && before.refreshes === refreshes;
        this.#asked.set(wanted.ref, isAlone ? this.#newest : before.version);
        return found;
      },
      refresh: async (now) => {
        refreshes += 1;
        refreshing += 1;
        const refreshed = await turn.take(signed.refresh(now));
        refreshing -= 1;
        this.#note();
        return refreshed;
      },
      get state() {
        return signed.state;
      },
      get trouble() {
        return signed.trouble;
      },
      close: () => signed.close(),
    };
  }
}

/**
 * Tells when the verification of a process is at work on the disk, and when it waits for the simulated network. It asks for
 * metadata one at a time, whoever began; for targets each by itself.
 */
class Turn {
  readonly #realWork: RealWork;
  #calls = 0;
  #metadata = 0;
  #targets = 0;
  #isReal = false;

  constructor(realWork: RealWork) {
    this.#realWork = realWork;
  }

  async take<T>(work: Promise<T>): Promise<T> {
    this.#calls += 1;
    this.#note();
    try {
      return await work;
    } finally {
      this.#calls -= 1;
      this.#note();
    }
  }

  async away<T>(path: string, answer: Promise<T>): Promise<T> {
    const isMetadata = path.startsWith("metadata/");
    const count = (by: number): void => {
      if (isMetadata) this.#metadata += by;
      else this.#targets += by;
      this.#note();
    };
    count(1);
    try {
      return await answer;
    } finally {
      count(-1);
    }
  }

  #note(): void {
    const isReal = this.#metadata === 0 && this.#calls > this.#targets;
    if (isReal === this.#isReal) return;
    this.#isReal = isReal;
    if (isReal) this.#realWork.begin();
    else this.#realWork.end();
  }
}
