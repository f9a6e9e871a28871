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

/** Made once: an error with a stack at each death costs more than the death. */
const DEAD = new SimulatedCrash("the process is dead");

/** Life and death of one process: once `dead`, no port of it does anything. */
export class Life {
  dead = false;
  armed: ArmedCrash | null = null;
  readonly #death = new AbortController();
  readonly #onDeath: Set<(cause: Error) => void> = new Set();
  readonly #onCrash: (armed: ArmedCrash) => void;

  constructor(onCrash: (armed: ArmedCrash) => void) {
    this.#onCrash = onCrash;
  }

  /** Aborted at its death: its connections close. */
  get signal(): AbortSignal {
    return this.#death.signal;
  }

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
    this.#death.abort(DEAD);
    for (const tell of this.#onDeath) tell(new SimulatedCrash("the process died"));
    this.#onDeath.clear();
  }

  /** Settles as `work` does, or rejects when the process dies first. */
  whileAlive<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.dead) return reject(new SimulatedCrash("the process is dead"));
      this.#onDeath.add(reject);
      work.then(
        (value) => {
          if (this.#onDeath.delete(reject)) resolve(value);
        },
        (cause: unknown) => {
          if (this.#onDeath.delete(reject)) reject(cause);
        },
      );
      return undefined;
    });
  }
}
