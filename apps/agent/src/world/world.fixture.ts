import { setImmediate } from "node:timers/promises";
import type { EmitLog, HostRollout, Release } from "@nixwave/effects";
import { journal as journalOf, START } from "@nixwave/testkit";
import { type Agent, startAgent } from "../agent.ts";
import type { ControlPlane } from "../controlPlane.ts";
import type { CrashPoint } from "../crashPoint.ts";
import { hashedReleases } from "../inbound/hashedReleases.ts";
import { httpControlPlane } from "../inbound/httpControlPlane.ts";
import type { Answer, Input, InputKind } from "../input.ts";
import { Journal } from "../journal/journal.ts";
import type { Http, Ports, RunResult } from "../ports.ts";
import type { HostReleases } from "../releases.ts";
import { CHANNEL, HOST, TestControlPlane } from "./controlPlane.fixture.ts";
import { TestMachine } from "./machine.fixture.ts";
import { VirtualTime } from "./virtualTime.fixture.ts";

/** The crash port's own error: in production there is nobody left to see one. */
class Killed extends Error {
  override readonly name = "Killed";
}

interface Process {
  readonly agent: Agent;
  readonly journal: Journal;
  dead: boolean;
}

const hashed: MakeReleases = (journal, _, http) => hashedReleases(journal, http);
export type MakeReleases = (
  journal: Journal,
  controlPlane: ControlPlane,
  http: Http,
) => HostReleases;

export interface CrashAt {
  readonly point: CrashPoint;
  readonly nth: number;
}

/** One host with its agent, and a control plane; time passes when the test says so. The journal is real, in `stateDir`. */
export class World {
  readonly time = new VirtualTime(START);
  readonly machine: TestMachine;
  readonly cp: TestControlPlane;
  readonly logs: EmitLog[] = [];
  readonly troubles: string[] = [];
  readonly inputs: InputKind[] = [];
  readonly broken: unknown[] = [];
  /** Passed points, counted over all processes. */
  crashAt: CrashAt | null = null;
  /** What lies between the agent and its CP, from the next start on. */
  between: (http: Http) => Http = (http) => http;
  crashes = 0;
  readonly passed = new Map<CrashPoint, number>();
  readonly #stateDir: string;
  readonly #makeReleases: MakeReleases;
  /** Reading and verifying is the real disk's time and not the world's: nothing passes meanwhile. */
  readonly #verifying = new Set<Promise<unknown>>();
  #process: Process | null = null;
  #journals = 0;

  constructor(stateDir: string, makeReleases: MakeReleases = hashed) {
    this.#stateDir = stateDir;
    this.#makeReleases = makeReleases;
    this.machine = new TestMachine(this.time);
    this.cp = new TestControlPlane(this.time);
  }

  get journal(): Journal {
    return this.#running().journal;
  }

  get agent(): Agent {
    return this.#running().agent;
  }

  record(release: Release): HostRollout | null {
    return this.journal.record(release.rolloutId);
  }

  start(): void {
    const died = { dead: false };
    const isDead = (): boolean => died.dead;
    const journal = Journal.open({
      stateDir: this.#stateDir,
      newJournalId: () => this.#newJournalId(),
      wallMs: () => this.time.nowMs,
    });
    const die = (): void => {
      died.dead = true;
      this.crashes += 1;
    };
    const http = this.cp.http(isDead, () => this.machine.isHealthy());
    const ports: Ports = {
      clock: this.time.clock,
      timer: this.time.timer(isDead),
      random: { unit: () => 0.5, hex: () => this.#newJournalId() },
      http,
      process: { run: async (): Promise<RunResult> => NOTHING_RUNS },
      disk: this.machine.disk,
      crash: { at: (point) => this.#pass(point, isDead, die) },
    };
    const toCp = this.between(http);
    const controlPlane = httpControlPlane("http://127.0.0.1:1", HOST, toCp);
    const agent = startAgent({
      host: HOST,
      channel: CHANNEL,
      agentVersion: "0.0.0-test",
      heartbeatSecs: 60,
      pollWaitSecs: 60,
      stateDir: this.#stateDir,
      reach: [],
      probeEnv: {},
      journal,
      activation: this.machine.activation,
      controlPlane,
      releases: this.#releasesOf(journal, controlPlane, toCp),
      ports,
      redact: (text) => text,
      metrics: {
        count: () => {},
        countInput: (kind) => this.inputs.push(kind),
        countWithheld: () => {},
      },
      logs: {
        write: (line) => this.logs.push(line),
        trouble: (message, cause) => this.troubles.push(`${message}: ${String(cause)}`),
      },
      onBroken: (error) => {
        const cause = error instanceof Error ? error.cause : null;
        if (!(error instanceof Killed || cause instanceof Killed)) this.broken.push(error);
      },
    });
    this.#process = {
      agent,
      journal,
      get dead() {
        return died.dead;
      },
      set dead(value) {
        died.dead = value;
      },
    };
  }

  /** As kill -9: nothing of the process runs on; its journal is as it was committed. */
  async kill(): Promise<void> {
    const running = this.#running();
    running.dead = true;
    await this.stop();
  }

  async stop(): Promise<void> {
    const { agent, journal } = this.#running();
    this.#process = null;
    this.#verifying.clear();
    const stopped = agent.stop(null);
    // Timers of a dead process never fire, so what waits for one is not waited for.
    await Promise.race([stopped, this.time.pass(0)]);
    journal.close();
  }

  /** Lets time pass; a process that died at its crash point is started again, as systemd would. */
  async pass(secs: number): Promise<void> {
    for (let left = secs; left > 0; left -= 1) {
      await this.time.pass(1);
      // What a dead process asked for is never answered.
      while (this.#verifying.size > 0 && this.#process?.dead === false) await setImmediate();
      if (this.#process?.dead === true) {
        await this.stop();
        this.start();
      }
    }
  }

  async passUntil(holds: () => boolean, secsMax = 3600): Promise<void> {
    for (let passed = 0; passed < secsMax; passed += 1) {
      if (holds()) return;
      await this.pass(1);
    }
    throw new Error(
      `it did not happen within ${secsMax} s; troubles: ${this.troubles.slice(-5).join("; ")}`,
    );
  }

  async submit(input: Input): Promise<Answer> {
    const answer = this.agent.mailbox.submit(input);
    await this.time.pass(0);
    return await answer;
  }

  #releasesOf(journal: Journal, controlPlane: ControlPlane, http: Http): HostReleases {
    const made = this.#makeReleases(journal, controlPlane, http);
    if (made.refresh === null) return made;
    const held = async <T>(work: Promise<T>): Promise<T> => {
      this.#verifying.add(work);
      try {
        return await work;
      } finally {
        this.#verifying.delete(work);
      }
    };
    const { refresh } = made;
    return {
      find: (wanted, now) => held(made.find(wanted, now)),
      refresh: refresh === null ? null : (now) => held(refresh(now)),
      get state() {
        return made.state;
      },
      get trouble() {
        return made.trouble;
      },
      close: () => made.close(),
    };
  }

  #running(): Process {
    if (this.#process === null) throw new Error("the agent does not run");
    return this.#process;
  }

  #pass(point: CrashPoint, isDead: () => boolean, die: () => void): void {
    if (isDead()) throw new Killed(point);
    const times = (this.passed.get(point) ?? 0) + 1;
    this.passed.set(point, times);
    if (this.crashAt?.point !== point || this.crashAt.nth !== times) return;
    die();
    throw new Killed(point);
  }

  #newJournalId() {
    this.#journals += 1;
    return journalOf(this.#journals.toString(16).padStart(2, "0"));
  }
}

const NOTHING_RUNS: RunResult = {
  end: { kind: "not-started", message: "this machine runs no processes" },
  stdout: "",
  stderr: "",
};
