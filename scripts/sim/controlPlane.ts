import type { HttpAnswer, HttpRequest } from "@nixwave/agent";
import {
  type AgentHandlers,
  agentHandlers,
  type Batch,
  type CpLogger,
  createWriter,
  type LogFields,
  ParkedPolls,
  RateLimit,
  ReleaseWatch,
  type Store,
  UnitLogs,
  type Writer,
} from "@nixwave/cp";
import { type Fleet, type Instant, instant } from "@nixwave/effects";
import { HEADER } from "@nixwave/protocol";
import type { SeededRandom, SimTime } from "@nixwave/testkit";
import type { Backup, ControlPlaneDisk } from "./controlPlaneDisk.ts";
import { type ArmedCrash, Life } from "./crash.ts";
import type { ReleaseRepository } from "./repository.ts";
import { RetentionHour } from "./retentionHour.ts";
import { NO_READER, route } from "./routes.ts";

export interface ControlPlaneParts {
  readonly time: SimTime;
  readonly random: SeededRandom;
  readonly repository: ReleaseRepository;
  readonly disk: ControlPlaneDisk;
  /** After a commit, before anybody is answered. */
  readonly onCommit: (batch: Batch, now: Instant) => void;
  readonly onCrash: (armed: ArmedCrash) => void;
  /** It came up, over the database as it is. */
  readonly onReady: () => void;
  readonly onBug: (message: string) => void;
  readonly say: (what: string) => void;
}

interface Process {
  readonly life: Life;
  writer: Writer | null;
  handlers: AgentHandlers | null;
  hour: RetentionHour | null;
}

/** One look at the repository per so many seconds is enough here: each costs an event, and there are thousands of hours. */
const LOOK_EVERY_MS = 10_000;
const PARKED_MAX = 20_000;

/** The control plane of a world: a database that outlives its processes, and at most one process. */
export class SimControlPlane {
  isDiskFull = false;
  clockOffMs = 0;
  #process: Process | null = null;
  readonly #parts: ControlPlaneParts;

  constructor(parts: ControlPlaneParts) {
    this.#parts = parts;
  }

  get disk(): ControlPlaneDisk {
    return this.#parts.disk;
  }

  get now(): Instant {
    return instant(this.#parts.time.nowMs + this.clockOffMs);
  }

  get writer(): Writer | null {
    return this.#process?.writer ?? null;
  }

  get fleet(): Fleet | null {
    return this.writer?.fleet() ?? null;
  }

  get isUp(): boolean {
    return this.#process !== null;
  }

  arm(crash: ArmedCrash): void {
    if (this.#process === null) return;
    this.#process.life.armed = crash;
    if (crash.isCut) this.#parts.disk.armCut();
  }

  disarm(): void {
    if (this.#process !== null) this.#process.life.armed = null;
  }

  start(): void {
    if (this.#process !== null) return;
    const process: Process = { life: this.#newLife(), writer: null, handlers: null, hour: null };
    this.#process = process;
    void this.#boot(process);
  }

  kill(): void {
    if (this.#process === null) return;
    this.#process.life.die();
    this.#process = null;
    this.#parts.disk.died();
  }

  /** Empty, with the gate `replay` closed: `serve --recover`. */
  wipe(): void {
    this.#parts.disk.wipe(this.#after);
  }

  backup(): Backup {
    return this.#parts.disk.backup();
  }

  /** `restore FILE`, or `silently`: a disk image that somebody put back without a word. */
  restore(from: Backup, silently: boolean): void {
    from(silently ? null : this.#after);
  }

  /** The hour of its retention comes. */
  retain(): void {
    this.#process?.hour?.comes();
  }

  get #after() {
    return { channels: this.#parts.repository.channels, now: this.now };
  }

  async handle(request: HttpRequest, gone: AbortSignal): Promise<HttpAnswer> {
    const process = this.#process;
    if (process === null || process.handlers === null) throw new Error("connection refused");
    const { handlers, life } = process;
    const work = route(request, { handlers, repository: this.#parts.repository }, gone);
    work.catch((cause: unknown) => {
      if (!life.dead)
        this.#parts.onBug(`${request.url} of ${request.headers[HEADER.host]}: ${String(cause)}`);
    });
    return await life.whileAlive(work);
  }

  #newLife(): Life {
    const life: Life = new Life((armed) => {
      // Its loop fails next; whoever waits for it takes the failure, so that it is nobody's unhandled rejection.
      void this.#process?.writer?.stop().catch(() => undefined);
      this.#process = null;
      const { disk, random, time, onCrash } = this.#parts;
      // Not at once: the transaction that it died in is still open.
      time.after(0, () => {
        if (armed.isCut) disk.cut(random);
        else disk.died();
        onCrash(armed);
      });
    });
    return life;
  }

  async #boot(process: Process): Promise<void> {
    const { life } = process;
    const { repository, time, onReady, onBug } = this.#parts;
    const timer = time.timerOf(() => life.dead);
    const clock = { now: () => this.now };
    const cpTimer = {
      at: (at: Instant, call: () => void) => timer.after(at - this.now, call),
      soon: (call: () => void) => void timer.after(0, call),
    };
    const log = {
      log: (level: string, message: string, fields: LogFields) => {
        if (message.includes("could not be decided")) onBug(JSON.stringify(fields));
        else if (level === "error")
          this.#parts.say(`log: ${message.replace(this.disk.place, "cp.db")}`);
        else if (message.startsWith("the repository"))
          this.#parts.say(repositoryText(message, fields));
      },
    };
    const opened = await repository.opened(clock, log);
    const polls = new ParkedPolls(PARKED_MAX);
    const writer = await createWriter({
      store: this.#watched(this.disk.store({ point: (at) => life.pass(at) })),
      clock,
      timer: cpTimer,
      random: { bytes: (count) => this.#parts.random.bytes(count) },
      ticks: () => 0,
      crash: { point: (at) => life.pass(at) },
      metrics: NO_METRICS,
      logger: log,
      notices: { dispatchReady: (host) => polls.wake(host), committed: () => undefined },
    });
    if (life.dead) return;
    process.writer = writer;
    process.handlers = agentHandlers({
      submit: writer.submit,
      reader: NO_READER,
      polls,
      limit: new RateLimit(),
      mirrored: opened.mirrored,
      unitLogs: new UnitLogs(null),
      clock,
      timer: cpTimer,
    });
    process.hour = this.#newHour(process, writer, log);
    if (process.hour !== null) await process.hour.start();
    onReady();
    const watch = new ReleaseWatch({
      source: opened.source,
      fingerprint: opened.fingerprint,
      submit: writer.submit,
      known: () => writer.fleet().channels(),
      wantsHeld: () => writer.wantsHeld(),
      clock,
      timer: {
        at: (_, call) => timer.after(LOOK_EVERY_MS, call),
        soon: (call) => void timer.after(0, call),
      },
      log,
    });
    await watch.start();
  }

  #newHour({ life }: Process, writer: Writer, log: CpLogger): RetentionHour | null {
    const { disk, time, onBug } = this.#parts;
    const kept = disk.keptLog();
    if (kept === null) return null;
    return new RetentionHour({
      log: kept,
      submit: writer.submit,
      life,
      time,
      now: () => this.now,
      logger: {
        log: (level, message, fields) => {
          if (life.dead) return;
          // Nothing but a disk keeps it from what it does.
          if (level === "error" && !this.isDiskFull)
            onBug(`${message}: ${String(fields["cause"])}`);
          else log.log(level, message, fields);
        },
      },
    });
  }

  #watched(store: Store): Store {
    return {
      ...store,
      commit: async (batch) => {
        if (this.isDiskFull) throw new Error("database or disk is full");
        this.#parts.disk.beforeCommit();
        await store.commit(batch);
        this.#parts.onCommit(batch, this.now);
      },
    };
  }
}

const repositoryText = (message: string, { reason }: LogFields): string =>
  reason === undefined ? message : `${message}: ${reason}`;

const NO_METRICS = {
  count: () => undefined,
  committed: () => undefined,
  commitFailed: () => undefined,
  dispatchAcknowledged: () => undefined,
  eventsDuplicated: () => undefined,
  pollsParked: () => undefined,
};
