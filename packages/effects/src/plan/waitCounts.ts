import type { GateName } from "./waiting.ts";

/** Where a plan last found a host waiting. */
export interface Place {
  readonly wave: number;
  readonly gate: GateName;
  /** The gate held its whole rollout. */
  readonly ofRollout: boolean;
  /** It has never been dispatched to. */
  readonly untried: boolean;
}

interface Count {
  readonly place: Place;
  hosts: number;
}

/** How many hosts of one rollout wait where, kept as plans find them, so that nobody counts hosts to know it. */
export class WaitCounts {
  readonly #waves = new Map<number, Map<string, Count>>();

  of(wave: number): Iterable<readonly [Place, number]> {
    const places = this.#waves.get(wave)?.values() ?? [];
    return [...places].map(({ place, hosts }) => [place, hosts] as const);
  }

  move(from: Place | null, to: Place | null): void {
    if (from !== null) this.#add(from, -1);
    if (to !== null) this.#add(to, 1);
  }

  #add(place: Place, hosts: number): void {
    const places = this.#waves.get(place.wave) ?? new Map<string, Count>();
    this.#waves.set(place.wave, places);
    const key = `${place.gate} ${place.ofRollout} ${place.untried}`;
    const known = places.get(key);
    if (known === undefined) places.set(key, { place, hosts });
    else known.hosts += hosts;
    if (places.get(key)?.hosts === 0) places.delete(key);
  }
}
