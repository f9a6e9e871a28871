interface Entry {
  readonly atMs: number;
  readonly order: number;
  fire: (() => void) | null;
}

/**
 * Work that no event of the world ends: it reads and writes real disks. Time waits for it, so that what it does belongs to the
 * event that began it, however long the machine takes.
 */
export class RealWork {
  #count = 0;
  #idle: (() => void) | null = null;

  get isUnderWay(): boolean {
    return this.#count > 0;
  }

  begin(): void {
    this.#count += 1;
  }

  end(): void {
    this.#count -= 1;
    if (this.#count > 0) return;
    this.#idle?.();
    this.#idle = null;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.begin();
    try {
      return await work();
    } finally {
      this.end();
    }
  }

  /** Resolves when none is under way. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#count === 0) return resolve();
      this.#idle = resolve;
    });
  }
}

/**
 * One time for a world: it passes only from event to event. Between two of them every promise job is done, so the order in
 * which things happen depends on nothing but the queue.
 */
export class SimTime {
  #nowMs: number;
  #order = 0;
  #fired = 0;
  readonly #heap: Entry[] = [];
  readonly realWork = new RealWork();

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events so far. */
  get fired(): number {
    return this.#fired;
  }

  /** Calls `fire` once, `ms` from now; events of one instant fire in the order in which they were set. */
  after(ms: number, fire: () => void): () => void {
    const entry: Entry = {
      atMs: this.#nowMs + Math.max(0, Math.ceil(ms)),
      order: this.#order,
      fire,
    };
    this.#order += 1;
    push(this.#heap, entry);
    return () => {
      entry.fire = null;
    };
  }

  /** A timer of one process: once it `isDead`, what it has set never fires. */
  timerOf(isDead: () => boolean): { after(ms: number, fire: () => void): () => void } {
    return {
      after: (ms, fire) =>
        this.after(ms, () => {
          if (!isDead()) fire();
        }),
    };
  }

  /** Lets time pass until `untilMs`, or until `isOver` says so after an event. */
  async run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    await this.#settled();
    while (!isOver()) {
      const head = this.#heap[0];
      if (head === undefined || head.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return;
      }
      pop(this.#heap);
      const { fire } = head;
      if (fire === null) continue;
      this.#nowMs = head.atMs;
      this.#fired += 1;
      fire();
      await jobsDone();
      if (this.realWork.isUnderWay) await this.#settled();
    }
  }

  async #settled(): Promise<void> {
    await jobsDone();
    while (this.realWork.isUnderWay) {
      await this.realWork.idle();
      await jobsDone();
    }
  }
}

/** Promise jobs that wait for nothing but each other are all done before Node comes to its next tick: ten times cheaper than an immediate. */
const jobsDone = (): Promise<void> =>
  new Promise((resolve) => {
    process.nextTick(resolve);
  });

const isBefore = (a: Entry, b: Entry): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

function push(heap: Entry[], entry: Entry): void {
  let place = heap.length;
  heap.push(entry);
  while (place > 0) {
    const above = (place - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || !isBefore(entry, parent)) break;
    heap[place] = parent;
    place = above;
  }
  heap[place] = entry;
}

/** Takes the first out. */
function pop(heap: Entry[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let place = 0;
  for (;;) {
    const left = heap[place * 2 + 1];
    if (left === undefined) break;
    const right = heap[place * 2 + 2];
    const next = right !== undefined && isBefore(right, left) ? right : left;
    if (!isBefore(next, last)) break;
    heap[place] = next;
    place = place * 2 + (next === left ? 1 : 2);
  }
  heap[place] = last;
}
