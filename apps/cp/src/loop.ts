import type { FleetState, Instant, Offset, Sha256 } from "@nixwave/effects";
import type { Submit } from "./command.ts";

/** The one writer of this process. */
export interface Writer {
  readonly submit: Submit;
  /** As of the last commit; for reads only, between two turns of the event loop (explainHost, waiting, counts). */
  fleet(): FleetState;
  /** The newest line's offset and hash; null while the log is empty. */
  logHead(): { readonly offset: Offset; readonly hash: Sha256 } | null;
  /** From when silence and leases count: this process's start. */
  readonly readySince: Instant;
  /** True while commits fail; /readyz says so. */
  storeFailed(): boolean;
  /** Refuses new work, decides and commits what waits, then resolves. Does not close the store. */
  stop(): Promise<void>;
}
