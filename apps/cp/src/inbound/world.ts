import type { Clock, Crash, Logger, Random, Timer } from "../ports.ts";

/** What a control plane takes from the world; main.ts has the real ones. */
export interface WorldPorts {
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  readonly log: Logger;
  readonly crash: Crash;
  readonly version: string;
}
