import type { SeededRandom } from "./random.ts";

/** What may happen to one exchange; probabilities from 0 to 1. */
export interface Weather {
  /** Nothing gets through, in either direction; nobody is told. */
  readonly cut: boolean;
  readonly delayMsMax: number;
  /** The request is lost, and the caller waits until it gives up. */
  readonly loss: number;
  /** The request arrives twice; the second answer goes nowhere. */
  readonly duplicate: number;
  /** The request arrives; its answer does not, and the caller waits until it gives up. */
  readonly halfOpen: number;
  /** The request arrives; the connection is reset under its answer. */
  readonly reset: number;
}

export const FAIR: Weather = {
  cut: false,
  delayMsMax: 20,
  loss: 0,
  duplicate: 0,
  halfOpen: 0,
  reset: 0,
};

export interface LinkPorts {
  readonly after: (ms: number, fire: () => void) => () => void;
  readonly random: SeededRandom;
  /** Of this link, now. */
  readonly weather: () => Weather;
}

export interface Exchange<A> {
  /** Delivers the request; rejects where nobody listens or the server dies over it. `gone`: the caller has hung up. */
  readonly deliver: (gone: AbortSignal) => Promise<A>;
  readonly timeoutMs: number;
  /** The caller gives up. */
  readonly signal: AbortSignal | null;
  /** Calls back when the caller's process dies, until that is taken back. */
  readonly onDeath: (hangUp: () => void) => () => void;
}

/** Made once: an error with a stack for each caller who hangs up costs more than the exchange. */
const GONE = new Error("the caller has gone");

/** One exchange over a link, with whatever its weather does to it. Rejects where no answer comes. */
export function exchange<A>(
  link: LinkPorts,
  { deliver, timeoutMs, signal, onDeath }: Exchange<A>,
): Promise<A> {
  const { after, random } = link;
  const weather = link.weather();
  const delay = (): number => 1 + random.unit() * weather.delayMsMax;
  return new Promise<A>((resolve, reject) => {
    const gone = new AbortController();
    let over = false;
    const finish = (settle: () => void): void => {
      if (over) return;
      over = true;
      cancelTimeout();
      signal?.removeEventListener("abort", hangUp);
      outlive();
      settle();
    };
    const fail = (message: string) => finish(() => reject(new Error(message)));
    /** A server behind a cut link does not learn that its caller has gone. */
    const leave = (message: string): void => {
      fail(message);
      if (!link.weather().cut) after(delay(), () => gone.abort(GONE));
    };
    const hangUp = (): void => leave("aborted");
    const cancelTimeout = after(timeoutMs, () => leave("no answer in time"));
    const outlive = onDeath(hangUp);
    if (signal?.aborted === true) return hangUp();
    signal?.addEventListener("abort", hangUp, { once: true });

    const isLost = weather.cut || random.chance(weather.loss);
    const isTwice = random.chance(weather.duplicate);
    const answerIsLost = random.chance(weather.halfOpen);
    const answerIsCut = random.chance(weather.reset);
    if (isLost) return undefined;
    const answered = (settle: () => void): void => {
      if (answerIsLost || link.weather().cut) return;
      after(delay(), answerIsCut ? () => fail("the connection was reset") : () => finish(settle));
    };
    after(delay(), () => {
      deliver(gone.signal).then(
        (answer) => answered(() => resolve(answer)),
        (cause: unknown) => answered(() => reject(cause)),
      );
    });
    if (isTwice) after(delay() + delay(), () => void deliver(gone.signal).catch(() => undefined));
    return undefined;
  });
}
