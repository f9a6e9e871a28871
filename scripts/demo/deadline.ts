/** What did not become true in time; the message is a sentence that says what was waited for and what was seen last. */
export class NotReached extends Error {
  override readonly name = "NotReached";
}

/** Between two looks: a test waits no longer than it must, and two cores are shared by ten processes. */
const LOOK_MS = 100;

export interface Awaited {
  /** Completes “… was not reached within 30 s”. */
  readonly what: string;
  readonly timeoutSecs: number;
  readonly stop: AbortSignal;
}

/**
 * Looks until `look` gives something but null. A look that throws counts as not yet: the control plane may be stopped at
 * that moment, and that is what the demo is about.
 */
export async function until<T>(awaited: Awaited, look: () => Promise<T | null>): Promise<T> {
  const giveUpAt = performance.now() + awaited.timeoutSecs * 1000;
  let last = "nothing was seen";
  for (;;) {
    awaited.stop.throwIfAborted();
    try {
      const seen = await look();
      if (seen !== null) return seen;
    } catch (cause) {
      last = cause instanceof Error ? cause.message : String(cause);
    }
    if (performance.now() > giveUpAt) {
      throw new NotReached(
        `${awaited.what} was not reached within ${awaited.timeoutSecs} s (${last})`,
      );
    }
    await pause(LOOK_MS, awaited.stop);
  }
}

export function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    stop.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    }
  });
}
