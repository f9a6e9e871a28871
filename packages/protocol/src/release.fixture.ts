import { instant, type Release } from "@nixwave/effects";
import * as ids from "./ids.ts";
import { DEFAULT_POLICY } from "./policy.ts";
import type { writeRelease } from "./releaseFiles.ts";

export const stable = ids.channel.parse("stable");
const closure = (name: string) => ids.closureHash.parse(`${"0".repeat(32)}-${name}`);
export const host = (name: string, wave: number) => ({
  host: ids.hostName.parse(name),
  system: "x86_64-linux",
  closure: closure(name),
  wave,
  tags: ["web"],
  closureDigest: null,
});

export function content(
  hosts: Release["hosts"],
  more: Partial<Release> = {},
): Omit<Release, "rolloutId" | "ref"> {
  const waves = Math.max(...hosts.map(({ wave }) => wave));
  return {
    channel: stable,
    revision: "0a1b2c",
    createdAt: instant(1_795_525_200_000),
    createdBy: "ci",
    note: "a note",
    waves: Array.from({ length: waves }, (_, at) => ({
      index: at + 1,
      soakSecs: 60,
      description: "",
    })),
    policy: DEFAULT_POLICY,
    channelEdges: [],
    hosts,
    budgets: [],
    edges: [],
    ...more,
  };
}

export const toBytes = (text: string) => new TextEncoder().encode(text);
export const toText = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
export type Files = Map<string, Uint8Array>;
export const filesOf = (release: ReturnType<typeof writeRelease>): Files =>
  new Map(release.files.map(({ path, bytes }) => [path, bytes]));
export const reading = (files: Files) => async (path: string) => files.get(path) ?? null;
