import type { Sha256 } from "@nixwave/effects";

/** The verified bytes of one release, as the repository serves them. Buckets and constraints are named by their hash. */
export interface ReleaseFiles {
  readonly head: Uint8Array;
  readonly parts: ReadonlyMap<Sha256, Uint8Array>;
}
