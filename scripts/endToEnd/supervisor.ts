import { pause } from "../demo/deadline.ts";
import { CP, type DemoFleet } from "../demo/fleet.ts";
import type { Ended } from "../demo/process.ts";

/** As soon as systemd would, but without its limit: these processes are killed on purpose. */
const LOOK_MS = 100;

export interface Supervisor {
  /** How often each process was found dead. */
  readonly deaths: ReadonlyMap<string, number>;
  /** The supervisor leaves these alone while they are in the set. */
  readonly leaveAlone: Set<string>;
  /** Rejects when `onDeath` throws: from then on nothing is started again. */
  readonly broken: Promise<never>;
  stop(): Promise<void>;
}

/** What systemd is on a host: starts again whatever has ended. */
export function supervise(
  fleet: DemoFleet,
  onDeath: (name: string, ended: Ended | null) => void = () => undefined,
): Supervisor {
  const deaths = new Map<string, number>();
  const leaveAlone = new Set<string>();
  const ending = new AbortController();
  const names = [CP, ...fleet.hosts.map(({ name }) => name)];
  const watch = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      for (const name of names) {
        const isDead = fleet.wasStarted(name) && !fleet.isRunning(name);
        if (!isDead || leaveAlone.has(name) || ending.signal.aborted) continue;
        deaths.set(name, (deaths.get(name) ?? 0) + 1);
        onDeath(name, await fleet.endOf(name));
        await revive(fleet, name);
      }
      await pause(LOOK_MS, ending.signal);
    }
  };
  const broken = Promise.withResolvers<never>();
  // Whoever does not ask sees a fleet that does not get on.
  broken.promise.catch(() => undefined);
  const watching = watch().catch(broken.reject);
  return {
    deaths,
    leaveAlone,
    broken: broken.promise,
    stop: async () => {
      ending.abort();
      await watching;
    },
  };
}

async function revive(fleet: DemoFleet, name: string): Promise<void> {
  if (name !== CP) {
    fleet.startAgent(name);
    return;
  }
  // It may be made to die while it starts; the next round starts it again.
  await fleet.startCp().catch(() => undefined);
}
