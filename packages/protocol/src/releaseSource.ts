import {
  type Channel,
  type ChannelRef,
  isChannel,
  isChannelRef,
  ok,
  type Release,
  type Result,
} from "@nixwave/effects";
import { type ReadFile, readCurrent, readRelease } from "./readRelease.ts";
import type { ReleaseSource, SourceProblem } from "./release.ts";
import type { Verified } from "./verified.ts";

/** A repository of releases by path: a directory, a mirror, the CP's own store. Names only; `/` separates. */
export interface Repository {
  readonly read: ReadFile;
  /** The names in a folder, "" for the root; none where there is no such folder. */
  readonly list: (folder: string) => Promise<readonly string[]>;
}

/** Releases of a repository, verified by their hashes. Signatures come behind the same interface. */
export function releaseSource({ read, list }: Repository): ReleaseSource {
  const listed = async (folder: string): Promise<Result<readonly string[], SourceProblem>> => {
    try {
      return ok(await list(folder));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const file = folder === "" ? "." : folder;
      return {
        ok: false,
        error: { code: "unreadable", file, reason: `${file}: could not be listed: ${why}` },
      };
    }
  };
  const current = async (channel: Channel): Promise<Result<Verified<Release>, SourceProblem>> => {
    const ref = await readCurrent(read, channel);
    return ref.ok ? readRelease(read, { channel, ref: ref.value }) : ref;
  };
  return {
    current,
    channels: async () => {
      const names = await listed("");
      return names.ok ? ok(names.value.filter(isChannel).sort()) : names;
    },
    held: async (channel) => {
      const names = await listed(channel);
      if (!names.ok) return names;
      const releases: Verified<Release>[] = [];
      for (const ref of refsAmong(names.value)) {
        const release = await readRelease(read, { channel, ref });
        if (release.ok) releases.push(release.value);
      }
      return ok(releases.sort((a, b) => a.value.createdAt - b.value.createdAt));
    },
  };
}

const refsAmong = (names: readonly string[]): ChannelRef[] =>
  names.flatMap((name) => {
    const base = name.endsWith(".json") ? name.slice(0, -".json".length) : "";
    return isChannelRef(base) ? [base] : [];
  });
