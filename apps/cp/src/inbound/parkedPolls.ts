import type { HostName } from "@nixwave/effects";

/** Why a parked poll goes on: its host was woken, a newer poll took its place, or the control plane stops. */
export type Unparked = "woken" | "replaced" | "stopping";

/** One poll's place. `woken` may resolve before anybody waits for it, so a wake between look and wait is not lost. */
export interface Place {
  readonly woken: Promise<Unparked>;
  readonly leave: () => void;
}

/**
 * Long-polls, in memory only: a restart drops them and the agents poll again. One place per host: a second poll means
 * that the agent gave the first one up, so the first is let go.
 */
export class ParkedPolls {
  readonly #places = new Map<HostName, (why: Unparked) => void>();
  readonly #max: number;
  #parked: (count: number) => void = () => {};
  #stopped = false;

  constructor(max: number) {
    this.#max = max;
  }

  /** Is told their number whenever it changes. */
  onParked(parked: (count: number) => void): void {
    this.#parked = parked;
  }

  get size(): number {
    return this.#places.size;
  }

  /** Null where no place is left. */
  take(host: HostName): Place | null {
    const former = this.#places.get(host);
    if (former === undefined && this.#places.size >= this.#max) return null;
    former?.("replaced");
    let go: (why: Unparked) => void = () => {};
    const woken = new Promise<Unparked>((resolve) => {
      go = resolve;
    });
    if (this.#stopped) go("stopping");
    else this.#places.set(host, go);
    this.#parked(this.size);
    const leave = (): void => {
      if (this.#places.get(host) === go) this.#free(host);
    };
    return { woken, leave };
  }

  /** Only the host concerned: waking all of them would cost one look per parked poll for each dispatch (hazard 77). */
  wake(host: HostName): void {
    this.#places.get(host)?.("woken");
    this.#free(host);
  }

  #free(host: HostName): void {
    this.#places.delete(host);
    this.#parked(this.size);
  }

  stop(): void {
    this.#stopped = true;
    for (const go of this.#places.values()) go("stopping");
    this.#places.clear();
    this.#parked(0);
  }
}
