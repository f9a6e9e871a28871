import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { HttpAnswer, HttpRequest } from "@nixwave/agent";
import type { Batch } from "@nixwave/cp";
import {
  type Channel,
  type ClosureHash,
  type HostName,
  type Instant,
  instant,
  type ReleaseHost,
} from "@nixwave/effects";
import { writeRelease } from "@nixwave/protocol";
import {
  Chronicle,
  channelName,
  closure,
  FAIR,
  hostName,
  policy,
  SeededRandom,
  SimTime,
  START,
  type Weather,
} from "@nixwave/testkit";
import { Adversary, type Lied } from "./adversary.ts";
import { SimHost } from "./agentProcess.ts";
import { SimControlPlane } from "./controlPlane.ts";
import { type Backup, fileControlPlane, memoryControlPlane } from "./controlPlaneDisk.ts";
import { fastFolder, fileJournal, type JournalDisk, memoryJournal } from "./journalDisk.ts";
import { type Behaviour, GOOD, Machine } from "./machine.ts";
import { ReleaseRepository } from "./repository.ts";
import { Retained, type RetainedCounts } from "./retained.ts";
import type { Fault, HostPlan, ReleasePlan, Scenario } from "./scenario.ts";
import { SignedRepository } from "./signedRepository.ts";
import { Watch } from "./watch.ts";

/** What a world came to. */
export interface WorldResult {
  readonly seed: number;
  readonly failure: Violation | null;
  readonly virtualMs: number;
  readonly fired: number;
  readonly eventsApplied: number;
  readonly crashes: number;
  readonly retained: RetainedCounts;
  /** Null where nothing is signed. */
  readonly lied: Lied | null;
  readonly digest: string;
  readonly lines: readonly string[];
}

export interface Violation {
  readonly invariant: string;
  readonly detail: string;
}

export interface WorldOptions {
  /** Keeps every line of the chronicle, for a story. */
  readonly isTold: boolean;
  /** Hears each of them as it comes. */
  readonly onLine?: (line: string) => void;
  /** Holds the invariants after every step; what is only timed does without. */
  readonly isWatched?: boolean;
}

const TOLD_AGAIN_MS = 5000;

/** A fleet, its control plane and the weather between them, in one process and one time. */
export class World {
  readonly scenario: Scenario;
  readonly time = new SimTime(START);
  readonly chronicle: Chronicle;
  readonly repository: ReleaseRepository;
  /** Of a signed world: who lies, and who attacks. */
  readonly adversary: Adversary | null;
  readonly random: SeededRandom;
  readonly cp: SimControlPlane;
  readonly hosts = new Map<HostName, SimHost>();
  /** Second machines under a host's name. */
  readonly clones: SimHost[] = [];
  readonly weather = new Map<HostName, Weather>();
  /** The signed list, as the repository has it. */
  readonly revoked = new Set<HostName>();
  readonly backups = new Map<Fault, Backup>();
  readonly watch: Watch;
  readonly retained: Retained;
  violation: Violation | null = null;
  crashes = 0;
  eventsApplied = 0;
  #hasRevoked = false;
  readonly #isWatched: boolean;
  /** Where a world that has files has them. */
  readonly #folder: string | null;
  readonly #behaviours = new Map<ClosureHash, Behaviour>();

  constructor(scenario: Scenario, { isTold, isWatched = true, onLine = () => {} }: WorldOptions) {
    this.#isWatched = isWatched;
    this.scenario = scenario;
    this.random = new SeededRandom(scenario.seed, "world");
    this.watch = new Watch(this);
    this.retained = new Retained(this);
    this.chronicle = new Chronicle({ now: () => this.time.nowMs, isKept: isTold, onLine });
    const { inFiles, isSigned } = scenario;
    this.#folder = inFiles || isSigned ? mkdtempSync(join(fastFolder(), "nixwave-sim-")) : null;
    const signed = isSigned ? this.#signed() : null;
    this.repository = signed ?? new ReleaseRepository();
    this.adversary = signed === null ? null : new Adversary(this, signed);
    this.cp = new SimControlPlane({
      disk: inFiles ? fileControlPlane(this.#inFolder(), scenario.logKept) : memoryControlPlane(),
      time: this.time,
      random: this.random.stream("cp"),
      repository: this.repository,
      onCommit: (batch, now) => this.#committed(batch, now),
      onCrash: ({ point, downMs }) => {
        this.crashed("cp", point);
        void this.watch.stored();
        this.time.after(downMs, () => this.cp.start());
      },
      onReady: () => {
        this.say("cp", "is up");
        if (this.cp.fleet !== null) this.watch.controlPlane.ready(this.cp.fleet);
        if (this.#hasRevoked) this.tellRevoked();
      },
      onBug: (message) => this.fail("no-bug", `cp: ${message}`),
      say: (what) => this.say("cp", what),
    });
    for (const plan of scenario.hosts) {
      const host = this.newHost(plan, null);
      this.hosts.set(host.name, host);
      this.time.after(plan.startsAtMs, () => host.start());
    }
    for (const plan of scenario.releases) this.time.after(plan.atMs, () => this.#publish(plan));
    this.cp.start();
  }

  /** By the control plane's clock. */
  get calmAt(): Instant {
    return instant(START + this.scenario.calmAtMs + this.cp.clockOffMs);
  }

  say(who: string, what: string): void {
    this.chronicle.say(who, what);
  }

  fail(invariant: string, detail: string): void {
    if (this.violation !== null) return;
    this.violation = { invariant, detail };
    this.say("world", `VIOLATED ${invariant}: ${detail}`);
  }

  crashed(who: string, where: string): void {
    this.crashes += 1;
    this.say(who, `dies at ${where}`);
  }

  newHost(plan: HostPlan, from: SimHost | null): SimHost {
    const name = hostName(plan.name);
    const who = from === null ? plan.name : `${plan.name}'s clone`;
    const say = (what: string): void => this.say(who, what);
    const machine = new Machine(
      plan.name,
      {
        time: this.time,
        behaviourOf: (hash) => this.#behaviours.get(hash) ?? GOOD,
        rollbacks: plan.rollbacks ?? null,
        bootIdAfterMs: plan.answersAfterMs ?? 0,
        onFire: (run) => {
          say(`fires ${run.unit.purpose} to ${run.closure.slice(33)}`);
          this.watch.agents.fired(run, host);
        },
        onStagedBoot: (to) => this.#staged(host, to),
        say,
      },
      from?.machine ?? null,
    );
    machine.wallOffMs = plan.wallOffMs;
    const host: SimHost = new SimHost(
      {
        host: name,
        channel: channelName(plan.channel),
        time: this.time,
        random: this.random.stream(who),
        link: {
          after: (ms, fire) => this.time.after(ms, fire),
          random: this.random.stream(`link of ${who}`),
          weather: () => this.weather.get(name) ?? FAIR,
        },
        pollWaitSecs: this.scenario.pollWaitSecs,
        disk: from === null ? this.#newJournal(plan.name) : from.disk.copy(),
        trust: this.adversary?.trustOf(plan.name, channelName(plan.channel), from) ?? null,
        serve: async (request, gone) => {
          const honest = () => this.#asked(name, request, gone);
          if (this.adversary === null) return await honest();
          const asked = { host: name, channel: channelName(plan.channel), request, honest };
          return await this.adversary.liar.between(asked);
        },
        onCrash: ({ point, downMs, isCut }) => {
          this.crashed(who, point);
          if (isCut) this.reboot(host, downMs, false);
          else this.time.after(downMs, () => host.start());
        },
        onMoved: ({ name: metric, labels }) => {
          if (metric !== "nixwave_host_transitions_total") return;
          const to = labels.find(([label]) => label === "to")?.[1] ?? "";
          this.watch.agents.moved(host, machine, to);
          this.adversary?.truth.moved(host);
        },
        onAcked: (request, answer) => {
          // What the control plane never gave binds it to nothing.
          if (this.#isWatched && this.adversary?.liar.isLie(answer) !== true)
            this.watch.controlPlane.acked(name, request, answer);
        },
        onLog: (line) => this.adversary?.logged(host, who, line),
        onBug: (message) => this.fail("no-bug", `${who}: ${message}`),
        onTooOften: (message) => this.fail("pace", `${who} ${message}`),
        say,
      },
      machine,
    );
    return host;
  }

  async #asked(host: HostName, request: HttpRequest, gone: AbortSignal): Promise<HttpAnswer> {
    const askedAt = this.cp.now;
    const answer = await this.cp.handle(request, gone);
    if (!this.#isWatched) return answer;
    return this.watch.controlPlane.answered({ host, request, askedAt }, answer);
  }

  #newJournal(name: string): JournalDisk {
    if (!this.scenario.inFiles) return memoryJournal();
    return fileJournal(join(this.#inFolder(), name));
  }

  #inFolder(): string {
    if (this.#folder === null) throw new Error("this world has no files");
    return this.#folder;
  }

  #signed(): SignedRepository {
    return new SignedRepository({
      folder: this.#inFolder(),
      random: this.random.stream("owner"),
      hosts: this.scenario.hosts,
      realWork: this.time.realWork,
      now: START,
    });
  }

  /** Its files are gone then. */
  close(): void {
    this.cp.kill();
    for (const host of this.hosts.values()) host.kill();
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A second machine with the same name and a copy of the journal. */
  clone(of: SimHost): SimHost {
    const plan = this.scenario.hosts.find(({ name }) => name === of.name);
    if (plan === undefined) throw new Error(`the scenario has no host ${of.name}`);
    const clone = this.newHost(plan, of);
    this.clones.push(clone);
    this.say(of.name, "is cloned");
    return clone;
  }

  /** At each change and each start, and again until it is stored, as the app does it. */
  tellRevoked(): void {
    this.#hasRevoked = true;
    const revoked = [...this.revoked].sort();
    const told = this.cp.writer?.submit<"HostRevocation">({ kind: "HostRevocation", revoked });
    void told?.then(({ kind }) => {
      if (kind === "not-now") this.time.after(TOLD_AGAIN_MS, () => this.tellRevoked());
    });
  }

  reboot(host: SimHost, downMs: number, noClock: boolean): void {
    host.kill();
    host.machine.powerOff();
    this.time.after(downMs, () => {
      if (noClock) this.#loseClock(host.machine);
      this.turnOn(host);
    });
  }

  turnOn(host: SimHost): void {
    if (host.isGone || !host.machine.isOff) return;
    host.machine.reboot();
    host.start();
  }

  async run(untilMs: number, isOver: () => boolean): Promise<void> {
    await this.time.run(START + untilMs, () => this.violation !== null || isOver());
  }

  result(): WorldResult {
    return {
      seed: this.scenario.seed,
      failure: this.violation,
      virtualMs: this.time.nowMs - START,
      fired: this.time.fired,
      eventsApplied: this.eventsApplied,
      crashes: this.crashes,
      retained: this.retained.counts,
      lied: this.adversary?.counted() ?? null,
      digest: this.chronicle.digest(),
      lines: this.chronicle.lines,
    };
  }

  /** A machine without a clock of its own begins at the epoch, until somebody tells it the time. */
  #loseClock(machine: Machine): void {
    machine.wallOffMs = -this.time.nowMs;
    this.time.after(60_000, () => {
      machine.wallOffMs = 0;
    });
  }

  /** People reboot what waits for it, mostly. */
  #staged(host: SimHost, to: ClosureHash): void {
    this.say(host.name, "has staged its next boot");
    this.watch.agents.staged(to, host);
    const random = this.random.stream(`boot of ${host.name} at ${this.time.nowMs}`);
    if (random.chance(0.8))
      this.time.after(random.between(20_000, 240_000), () => {
        if (host.machine.system.boot !== host.machine.system.running && !host.machine.isOff)
          this.reboot(host, 15_000, false);
      });
  }

  #committed(batch: Batch, now: Instant): void {
    if (this.#isWatched) this.watch.controlPlane.committed(batch, now);
    this.adversary?.truth.committed(batch);
    this.retained.committed(batch);
    if (batch.segment === null) return;
    const { firstOffset, count, hash } = batch.segment;
    this.say("cp", `commits ${count} lines from ${firstOffset} as ${hash.slice(0, 8)}`);
    for (const { change } of batch.changes) {
      if (change.kind === "StreamAdvanced") this.eventsApplied += 1;
      if (change.kind === "TransitionRecorded")
        this.say(change.host, `${change.from} → ${change.to}`);
      if (change.kind === "RolloutChanged")
        this.say(
          "cp",
          `${change.rollout.rolloutId.slice(0, 14)} is ${change.rollout.kind}, wave ${change.rollout.cursor}`,
        );
    }
  }

  #publish(plan: ReleasePlan): void {
    const channel = channelName(plan.channel);
    const members = this.scenario.hosts.filter((host) => host.channel === plan.channel);
    const hosts = members.map((host): ReleaseHost => this.#listed(host, plan));
    this.repository.publish(
      writeRelease({
        channel,
        revision: null,
        createdAt: instant(this.time.nowMs),
        createdBy: "sim",
        note: plan.version,
        waves: Array.from({ length: plan.waves }, (_, index) => ({
          index: index + 1,
          soakSecs: plan.soakSecs,
          description: "",
        })),
        policy: policy(plan.policy),
        channelEdges: plan.after.map((gates) => edge(channelName(gates), channel)),
        hosts,
        budgets: plan.budgets.map(({ hosts: names, max }, index) => ({
          name: `budget-${index + 1}`,
          hosts: names.map(hostName),
          maxInFlight: max,
        })),
        edges: plan.edges.map(({ gates, gated }) => edge(hostName(gates), hostName(gated))),
      }),
    );
    this.say("operators", `publish ${plan.version} of ${plan.channel}`);
  }

  #listed(host: HostPlan, plan: ReleasePlan): ReleaseHost {
    const hash = closure(plan.closures?.[host.name] ?? `${host.name}-${plan.version}`);
    // One that is listed again is what it was.
    if (!this.#behaviours.has(hash)) this.#behaviours.set(hash, plan.behaviours[host.name] ?? GOOD);
    return {
      host: hostName(host.name),
      system: "x86_64-linux",
      closure: hash,
      wave: Math.min(host.wave, plan.waves),
      tags: [],
      closureDigest: null,
    };
  }
}

const edge = <T extends HostName | Channel>(gates: T, gated: T) => ({
  gates,
  gated,
  reason: "the scenario says so",
});
