import { readFileSync } from "node:fs";
import { type ReleaseSource, releaseSource } from "@nixwave/protocol";
import type { ServeConfig } from "../config.ts";
import { originOf } from "../repository/origin.ts";
import { TrustedRepository } from "../repository/trustedRepository.ts";
import { fingerprintOf, releaseDirectory } from "./releaseDirectory.ts";
import type { WorldPorts } from "./world.ts";

export interface OpenReleases {
  readonly source: ReleaseSource;
  readonly fingerprint: () => Promise<string>;
  readonly repository: TrustedRepository | null;
}

/** Opens what the releases come from. Reads nothing of it yet but the root. */
export async function openReleases(
  { dataDir, releases }: Pick<ServeConfig, "dataDir" | "releases">,
  { clock, log }: Pick<WorldPorts, "clock" | "log">,
): Promise<OpenReleases> {
  if (releases.kind === "unsigned") {
    const { directory } = releases;
    return {
      source: releaseSource(releaseDirectory(directory)),
      fingerprint: () => fingerprintOf(directory),
      repository: null,
    };
  }
  const { place, rootFile } = releases;
  const root = rootFile === null ? null : readFileSync(rootFile);
  const origin = originOf(place, dataDir);
  const repository = await TrustedRepository.open({ dataDir, root, origin, clock, log });
  return { source: repository, fingerprint: () => repository.fingerprint(), repository };
}
