import { addSecs, type Instant, type Offset } from "@nixwave/effects";
import type { Submit } from "../command.ts";
import type { LogRetention } from "../config.ts";
import type { EventLog } from "../log/eventLog.ts";
import { parseLine, textsOf } from "../log/read.ts";
import { offsetAfter, REDUCERS_VERSION } from "../log/segment.ts";
import { writeArchive } from "../maintenance/archive.ts";
import type { Clock, Logger, Timer } from "../ports.ts";
import type { StoredCheckpoint } from "../store/snapshot.ts";

export interface RetentionPorts {
  readonly keep: LogRetention;
  /** Over a connection that only reads. */
  readonly log: Pick<EventLog, "segments" | "beginsAt">;
  readonly checkpoints: () => readonly StoredCheckpoint[];
  readonly archiveDir: string;
  readonly submit: Submit;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly logger: Logger;
}

/** A look reads only what was appended since the last one. */
const LOOK_SECS = 3600;
/** A checkpoint so many times per retention: the log is longer than asked for by this part at most. */
const CHECKPOINTS_KEPT = 4;
/** Segments that are sized before the writer gets its turn. */
const SIZED_AT_ONCE = 500;

/** The log from one place at which it may begin to the next. */
interface Part {
  readonly from: Offset;
  readonly at: Instant;
  bytes: number;
}

/**
 * Keeps the log within its limits: takes checkpoints, writes what is older than the limit to an archive, and only then has it taken away.
 * Whatever is interrupted is done again by the next look.
 */
export class Retention {
  readonly #ports: RetentionPorts;
  #parts: readonly Part[] = [];
  #sizedTo: Offset | null = null;
  #cancel: () => void = () => undefined;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
  }

  /**
   * Before anything is served: where another version wrote the log so far, its tables become the checkpoint from which this version's
   * folds begin. Whether they are right is for the old version's `check`.
   */
  async start(): Promise<void> {
    const { log, checkpoints } = this.#ports;
    const newest = checkpoints().at(-1);
    const isOurs = newest === undefined ? firstVersion(log) : newest.version;
    if (isOurs !== null && isOurs !== REDUCERS_VERSION) await this.#retain(true);
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#looking;
  }

  #arm(): void {
    if (this.#stopped) return;
    const { clock, timer, logger } = this.#ports;
    this.#cancel = timer.at(addSecs(clock.now(), LOOK_SECS), () => {
      this.#looking = this.look()
        .catch((cause: unknown) => {
          logger.log(
            "error",
            "the log could not be archived: it is kept, and the next look tries again",
            {
              target: "retention",
              cause: cause instanceof Error ? cause.message : String(cause),
            },
          );
        })
        .then(() => this.#arm());
    });
  }

  /** One look. Throws where the archive can't be written; nothing was taken away then. */
  async look(): Promise<void> {
    const { keep, clock, log, archiveDir, submit, logger } = this.#ports;
    await this.#size();
    await this.#retain(this.#isCheckpointDue());
    await this.#size();
    const before = cutOf(this.#parts, keep, clock.now());
    if (before === null || this.#stopped) return;
    const from = log.beginsAt();
    const { path, aside } = await writeArchive(archiveDir, log, { from, before });
    for (const former of aside)
      logger.log("warn", "an archive of another history is put aside", {
        target: "retention",
        path: former,
      });
    logger.log("info", "the log's beginning is archived", {
      target: "retention",
      path,
      from,
      before,
    });
    const answer = await submit<"DropArchived">({ kind: "DropArchived", before });
    if (answer.kind === "done") this.#parts = this.#parts.filter((part) => part.from >= before);
  }

  async #retain(checkpoint: boolean): Promise<void> {
    const { keep, clock, submit } = this.#ports;
    const endedBefore = addSecs(clock.now(), -keep.secs);
    await submit<"Retain">({ kind: "Retain", endedBefore, checkpoint });
  }

  #isCheckpointDue(): boolean {
    const { keep, clock } = this.#ports;
    const last = this.#parts.at(-1);
    if (last === undefined) return false;
    const isOld = clock.now() >= addSecs(last.at, keep.secs / CHECKPOINTS_KEPT);
    return last.bytes > 0 && (isOld || last.bytes >= keep.bytes / CHECKPOINTS_KEPT);
  }

  async #size(): Promise<void> {
    const { log, checkpoints } = this.#ports;
    const begins = new Map(checkpoints().map(({ offset, at }) => [offset, at]));
    let count = 0;
    for (const segment of log.segments(this.#sizedTo ?? log.beginsAt())) {
      const { firstOffset } = segment;
      const at = begins.get(firstOffset);
      const begun = at ?? (this.#parts.length === 0 ? firstInstant(segment.lines) : null);
      if (begun !== null)
        this.#parts = [...this.#parts, { from: firstOffset, at: begun, bytes: 0 }];
      const part = this.#parts.at(-1);
      if (part !== undefined) part.bytes += Buffer.byteLength(segment.lines);
      this.#sizedTo = offsetAfter(firstOffset, segment.count);
      count += 1;
      if (count % SIZED_AT_ONCE === 0) await new Promise((resolve) => void setImmediate(resolve));
    }
  }
}

/** When the first of these lines was received. */
const firstInstant = (lines: string): Instant => parseLine(textsOf({ lines })[0] ?? "").receivedAt;

function firstVersion(log: Pick<EventLog, "segments" | "beginsAt">): number | null {
  for (const { version } of log.segments(log.beginsAt())) return version;
  return null;
}

/**
 * Where the log is to begin: the newest checkpoint before which everything is older than the limit, or the oldest one after which no more
 * than the limit's bytes lie; null where nothing is to go. What began the log stays where there is nothing else to begin with.
 */
export function cutOf(
  parts: readonly { readonly from: Offset; readonly at: Instant; readonly bytes: number }[],
  keep: LogRetention,
  now: Instant,
): Offset | null {
  const later = parts.slice(1);
  const old = later.findLast(({ at }) => now >= addSecs(at, keep.secs));
  const bytesFrom = (place: number): number =>
    parts.slice(place).reduce((sum, { bytes }) => sum + bytes, 0);
  const large =
    bytesFrom(0) <= keep.bytes
      ? undefined
      : (later.find((_, place) => bytesFrom(place + 1) <= keep.bytes) ?? later.at(-1));
  const cuts = [old, large].filter((part) => part !== undefined).map(({ from }) => from);
  return cuts.length === 0 ? null : cuts.reduce((a, b) => (a > b ? a : b));
}
