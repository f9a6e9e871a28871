/** Stands for SIGKILL where a port has to come back: nobody in production ever sees one. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

/** A process of the world is to die the next time that it passes this point. */
export interface ArmedCrash {
  readonly point: string;
  /** How many passes are let through. */
  passes: number;
  readonly downMs: number;
  /** The power goes with it. */
  readonly isCut: boolean;
}

/** Made once: an error with a stack for each who waited for it costs more than the death. */
const DIED = new SimulatedCrash("the process died");

/** Life and death of one process: once `dead`, no port of it does anything. */
export class Life {
  dead = false;
  armed: ArmedCrash | null = null;
  readonly #onDeath = new Set<() => void>();
  readonly #onCrash: (armed: ArmedCrash) => void;

  constructor(onCrash: (armed: ArmedCrash) => void) {
    this.#onCrash = onCrash;
  }

  /** Calls back at its death, when its connections close, until that is taken back. */
  readonly onDeath = (tell: () => void): (() => void) => {
    this.#onDeath.add(tell);
    return () => {
      this.#onDeath.delete(tell);
    };
  };

  /** A crash port's point: throws where the process dies at it, or is dead. */
  pass(point: string): void {
    if (this.dead) throw new SimulatedCrash(point);
    const { armed } = this;
    if (armed === null || armed.point !== point) return;
    armed.passes -= 1;
    if (armed.passes >= 0) return;
    this.armed = null;
    this.die();
    this.#onCrash(armed);
    throw new SimulatedCrash(point);
  }

  die(): void {
    this.dead = true;
    for (const tell of this.#onDeath) tell();
    this.#onDeath.clear();
  }

  /** Settles as `work` does, or rejects when the process dies first. */
  whileAlive<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.dead) return reject(DIED);
      const die = (): void => reject(DIED);
      this.#onDeath.add(die);
      work.then(
        (value) => {
          if (this.#onDeath.delete(die)) resolve(value);
        },
        (cause: unknown) => {
          if (this.#onDeath.delete(die)) reject(cause);
        },
      );
      return undefined;
    });
  }
}
