import {
  type Agent,
  type AgentHttp,
  type AgentPorts,
  AnswerTooLong,
  type HttpAnswer,
  type HttpRequest,
  hashedReleases,
  httpControlPlane,
  type Journal,
  JournalUnwritable,
  type RunResult,
  startAgent,
} from "@nixwave/agent";
import {
  type Channel,
  type EmitLog,
  type EmitMetric,
  type HostName,
  isJournalId,
} from "@nixwave/effects";
import { exchange, type LinkPorts, type SeededRandom, type SimTime } from "@nixwave/testkit";
import { type ArmedCrash, Life, SimulatedCrash } from "./crash.ts";
import type { HostTrust } from "./hostTrust.ts";
import type { JournalDisk } from "./journalDisk.ts";
import type { Machine } from "./machine.ts";
import { Pace } from "./pace.ts";

export interface HostParts {
  readonly host: HostName;
  readonly channel: Channel;
  readonly time: SimTime;
  readonly random: SeededRandom;
  readonly link: LinkPorts;
  readonly pollWaitSecs: number;
  readonly disk: JournalDisk;
  /** Null where nothing is signed: only hashes vouch for releases. */
  readonly trust: HostTrust | null;
  readonly serve: (request: HttpRequest, gone: AbortSignal) => Promise<HttpAnswer>;
  readonly onCrash: (armed: ArmedCrash) => void;
  /** A record of this host has moved, and that was committed. */
  readonly onMoved: (metric: EmitMetric) => void;
  /** An answer to events has reached the agent. */
  readonly onAcked: (request: HttpRequest, answer: HttpAnswer) => void;
  /** A line of its log; written after the commit of what it tells. */
  readonly onLog: (line: EmitLog) => void;
  readonly onBug: (message: string) => void;
  /** It asks as if it were answered with nothing but invitations to ask again. */
  readonly onTooOften: (message: string) => void;
  readonly say: (what: string) => void;
}

interface Process {
  readonly life: Life;
  readonly agent: Agent;
  readonly journal: Journal;
}

const EVENTS = "/v1/agent/events";
const OK: HttpAnswer = { status: 200, headers: {}, body: new Uint8Array() };
const ILL: HttpAnswer = { ...OK, status: 503 };
const NOTHING_RUNS: RunResult = {
  end: { kind: "not-started", message: "this machine runs no processes" },
  stdout: "",
  stderr: "",
};
const HEARTBEAT_SECS = 60;

/** One host of a world: a machine, a journal, and at most one agent process. */
export class SimHost {
  readonly machine: Machine;
  isDiskFull = false;
  /** It never comes back. */
  isGone = false;
  /** When its agent last began, by the world's time. */
  startedAtMs = 0;
  #process: Process | null = null;
  readonly #pace = new Pace();
  readonly #parts: HostParts;

  constructor(parts: HostParts, machine: Machine) {
    this.#parts = parts;
    this.machine = machine;
  }

  get trust(): HostTrust | null {
    return this.#parts.trust;
  }

  get disk(): JournalDisk {
    return this.#parts.disk;
  }

  get name(): HostName {
    return this.#parts.host;
  }

  get channel(): Channel {
    return this.#parts.channel;
  }

  get journal(): Journal | null {
    return this.#process?.journal ?? null;
  }

  get isUp(): boolean {
    return this.#process !== null;
  }

  arm(crash: ArmedCrash): void {
    if (this.#process === null) return;
    this.#process.life.armed = crash;
    if (crash.isCut) this.disk.armCut();
  }

  disarm(): void {
    if (this.#process !== null) this.#process.life.armed = null;
  }

  start(): void {
    if (this.#process !== null || this.isGone || this.machine.isOff) return;
    const { host, channel, onBug, say, pollWaitSecs } = this.#parts;
    const life: Life = new Life((armed) => {
      this.#process = null;
      const { random, time, onCrash } = this.#parts;
      // Not at once: what it died in is still on the stack.
      time.after(0, () => {
        if (armed.isCut) this.disk.cut(random.stream(`cut at ${time.nowMs}`));
        else this.disk.died();
        onCrash(armed);
      });
    });
    const journal = this.#watched(this.disk.open(() => this.#newJournalId()));
    const ports = this.#ports(life);
    const controlPlane = httpControlPlane("http://cp", host, ports.http);
    const agent = startAgent({
      host,
      channel,
      agentVersion: "0.0.0",
      heartbeatSecs: HEARTBEAT_SECS,
      pollWaitSecs,
      stateDir: "/sim",
      probeEnv: {},
      reach: [],
      journal,
      activation: this.machine.activationFor(() => life.dead),
      controlPlane,
      releases: this.trust?.releases(journal, controlPlane) ?? hashedReleases(journal, ports.http),
      ports,
      redact: (text) => text,
      metrics: {
        count: (metric) => this.#parts.onMoved(metric),
        countInput: () => undefined,
        countWithheld: () => undefined,
      },
      logs: {
        write: (line) => this.#parts.onLog(line),
        trouble: (message, cause) => {
          if (isOurBug(cause)) onBug(`${message}: ${stackOf(cause)}`);
        },
      },
      onBroken: (error) => {
        if (!life.dead && !(error instanceof SimulatedCrash)) onBug(`broken: ${stackOf(error)}`);
      },
    });
    this.startedAtMs = this.#parts.time.nowMs;
    say("the agent starts");
    this.#process = { life, agent, journal };
  }

  /** As a person shuts it down: the agent says that it leaves, and is waited for only so long. */
  async leave(how: Parameters<Agent["stop"]>[0]): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    await process.life.whileAlive(process.agent.stop(how)).catch(() => undefined);
    if (this.#process === process) this.kill();
  }

  /** Its answer is what it is when it comes. */
  async #app({ timeoutMs }: HttpRequest, life: Life): Promise<HttpAnswer> {
    const { answersAfterMs } = this.machine;
    if (answersAfterMs > 0)
      await new Promise<void>((resolve) => {
        this.#parts.time.after(Math.min(answersAfterMs, timeoutMs), resolve);
      });
    if (life.dead) return await new Promise<never>(() => {});
    if (answersAfterMs >= timeoutMs) throw new Error("no answer in time");
    return this.machine.isHealthy() ? OK : ILL;
  }

  kill(): void {
    if (this.#process === null) return;
    this.#process.life.die();
    this.#process = null;
    this.disk.died();
  }

  #newJournalId() {
    const id = this.#parts.random.hex(16);
    if (!isJournalId(id)) throw new Error("16 bytes of hex are a journal's id");
    return id;
  }

  /** A disk that is full refuses every commit, and nothing of it is done. */
  #watched(journal: Journal): Journal {
    const commit = journal.commit.bind(journal);
    journal.commit = (sync, write) => {
      if (this.isDiskFull) throw new JournalUnwritable("the disk is full");
      commit(sync, write);
    };
    return journal;
  }

  #ports(life: Life): AgentPorts {
    const { time, random } = this.#parts;
    return {
      clock: {
        wallMs: () => this.machine.wallMs,
        monotonicMs: () => this.machine.uptimeMs,
      },
      timer: time.timerOf(() => life.dead),
      random: { unit: () => random.unit(), hex: (bytes) => random.hex(bytes) },
      http: this.#http(life),
      process: { run: async () => NOTHING_RUNS },
      disk: {
        readText: (path) => this.machine.probeFile(path),
        writeAtomically: () => undefined,
        remove: () => undefined,
        freeBytes: () => 10_000_000,
      },
      crash: { at: (point) => life.pass(point) },
    };
  }

  #http(life: Life): AgentHttp {
    const { link, serve } = this.#parts;
    return {
      request: async (request) => {
        if (life.dead) return await new Promise<never>(() => {});
        if (request.url.startsWith("http://app/")) return await this.#app(request, life);
        const tooOften = this.#pace.asked(request, this.#parts.time.nowMs);
        if (tooOften !== null) this.#parts.onTooOften(tooOften);
        const { timeoutMs, signal } = request;
        const deliver = (gone: AbortSignal) => serve(request, gone);
        try {
          const given = await exchange(link, {
            deliver,
            timeoutMs,
            signal: signal ?? null,
            onDeath: life.onDeath,
          });
          if (life.dead) return await new Promise<never>(() => {});
          if (given.body.length > request.answerBytesMax) throw new AnswerTooLong(request.url);
          if (given.status === 200 && request.url.endsWith(EVENTS))
            this.#parts.onAcked(request, given);
          return given;
        } catch (cause) {
          if (life.dead) return await new Promise<never>(() => {});
          throw cause;
        }
      },
    };
  }
}

const stackOf = (cause: unknown): string =>
  cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);

/** What the world does to an agent is an Error with a sentence; what is thrown by mistake has a class of its own. */
const isOurBug = (cause: unknown): boolean =>
  cause instanceof TypeError ||
  cause instanceof RangeError ||
  cause instanceof ReferenceError ||
  (cause instanceof Error && cause.name === "InvariantViolated");
