import { type CpLogger, Retention, type Submit } from "@nixwave/cp";
import type { Instant } from "@nixwave/effects";
import type { SimTime } from "@nixwave/testkit";
import type { KeptLog } from "./controlPlaneDisk.ts";
import type { Life } from "./crash.ts";

/** A process dies at it between two segments of an archive that it writes, or of a log that it sizes. */
export const SEGMENT_READ = "segment-read";
/** Before each turn of the writer that retention asks for, so long: so there is a time at which an archive is whole and its rows are still there. */
const WORKS_MS = 40;

interface Parts {
  readonly log: KeptLog;
  readonly submit: Submit;
  readonly life: Life;
  readonly time: SimTime;
  readonly now: () => Instant;
  readonly logger: CpLogger;
}

/** The control plane's own Retention in the time of a world, in which its hour can come at any moment. */
export class RetentionHour {
  readonly #parts: Parts;
  readonly #retention: Retention;
  #look: (() => void) | null = null;
  #isLooking = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { log, life, now, logger } = parts;
    const { segments } = log.log;
    this.#retention = new Retention({
      ...log,
      log: {
        ...log.log,
        *segments(from) {
          for (const segment of segments(from)) {
            life.pass(SEGMENT_READ);
            yield segment;
          }
        },
      },
      submit: (command) => this.#submitted(command),
      clock: { now },
      timer: { at: (at, call) => this.#at(at, call), soon: (call) => call() },
      logger,
    });
  }

  start(): Promise<void> {
    return this.#retention.start();
  }

  /** Now, unless it looks already. */
  comes(): void {
    this.#look?.();
  }

  /** A look begins and ends here: files are read and written in it, so time waits. */
  #at(at: Instant, call: () => void): () => void {
    const { time, life, now } = this.#parts;
    if (this.#isLooking) time.realWork.end();
    this.#isLooking = false;
    const begin = (): void => {
      cancel();
      this.#look = null;
      this.#isLooking = true;
      time.realWork.begin();
      call();
    };
    const cancel = time.timerOf(() => life.dead).after(at - now(), begin);
    this.#look = begin;
    return cancel;
  }

  /** The writer's turn needs time to pass. */
  readonly #submitted: Submit = async (command) => {
    const { time, submit } = this.#parts;
    time.realWork.end();
    try {
      await new Promise<void>((resolve) => void time.after(WORKS_MS, resolve));
      return await submit(command);
    } finally {
      time.realWork.begin();
    }
  };
}
