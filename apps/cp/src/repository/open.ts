import { readFileSync } from "node:fs";
import type { ServeConfig } from "../config.ts";
import type { Clock, Logger } from "../ports.ts";
import { originOf } from "./origin.ts";
import { TrustedRepository } from "./trustedRepository.ts";

/** Opens what the releases come from. Reads nothing of it yet but the root. */
export async function openTrusted(
  { dataDir, repository: { place, rootFile } }: Pick<ServeConfig, "dataDir" | "repository">,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<TrustedRepository> {
  const root = rootFile === null ? null : readFileSync(rootFile);
  return await TrustedRepository.open({
    dataDir,
    root,
    origin: originOf(place, dataDir),
    clock,
    log,
  });
}
