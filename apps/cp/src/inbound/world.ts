import type { Clock, Crash, Logger, Random, Timer } from "../ports.ts";

/** What a control plane takes from the world; main.ts has the real ones. */
export interface WorldPorts {
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  readonly log: Logger;
  readonly crash: Crash;
  /** Where a test wants to have what each commit has put on the disk (store/syncCopy.ts). */
  readonly syncCopyDir?: string | undefined;
  readonly version: string;
}
