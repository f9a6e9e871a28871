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
import { SimHost } from "./agentProcess.ts";
import { SimControlPlane } from "./controlPlane.ts";
import { type Behaviour, GOOD, Machine } from "./machine.ts";
import { ReleaseRepository } from "./repository.ts";
import type { HostPlan, ReleasePlan, Scenario } from "./scenario.ts";

/** What a world came to. */
export interface WorldResult {
  readonly seed: number;
  readonly failure: Violation | null;
  readonly virtualMs: number;
  readonly fired: number;
  readonly eventsApplied: number;
  readonly crashes: number;
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
}

/** A fleet, its control plane and the weather between them, in one process and one time. */
export class World {
  readonly scenario: Scenario;
  readonly time = new SimTime(START);
  readonly chronicle: Chronicle;
  readonly repository = new ReleaseRepository();
  readonly random: SeededRandom;
  readonly cp: SimControlPlane;
  readonly hosts = new Map<HostName, SimHost>();
  /** Second machines under a host's name. */
  readonly clones: SimHost[] = [];
  readonly weather = new Map<HostName, Weather>();
  violation: Violation | null = null;
  crashes = 0;
  eventsApplied = 0;
  readonly #behaviours = new Map<ClosureHash, Behaviour>();

  constructor(scenario: Scenario, { isTold }: WorldOptions) {
    this.scenario = scenario;
    this.random = new SeededRandom(scenario.seed, "world");
    this.chronicle = new Chronicle({ now: () => this.time.nowMs, isKept: isTold });
    this.cp = new SimControlPlane({
      time: this.time,
      random: this.random.stream("cp"),
      repository: this.repository,
      onCommit: (batch, now) => this.#committed(batch, now),
      onCrash: ({ point, downMs }) => {
        this.crashed("cp", point);
        this.time.after(downMs, () => this.cp.start(false));
      },
      onReady: () => this.say("cp", "is up"),
      onBug: (message) => this.fail("no-bug", `cp: ${message}`),
      say: (what) => this.say("cp", what),
    });
    for (const plan of scenario.hosts) {
      const host = this.newHost(plan, null);
      this.hosts.set(host.name, host);
      this.time.after(plan.startsAtMs, () => host.start());
    }
    for (const plan of scenario.releases) this.time.after(plan.atMs, () => this.#publish(plan));
    this.cp.start(false);
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
        onFire: (run) => say(`fires ${run.unit.purpose} to ${run.closure.slice(33)}`),
        onStagedBoot: () => say("has staged its next boot"),
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
        serve: (request, gone) => this.cp.handle(request, gone),
        onCrash: ({ point, downMs }) => {
          this.crashed(who, point);
          this.time.after(downMs, () => host.start());
        },
        onMoved: () => undefined,
        onCommitted: () => undefined,
        onBug: (message) => this.fail("no-bug", `${who}: ${message}`),
        say,
      },
      machine,
      from,
    );
    return host;
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
      digest: this.chronicle.digest(),
      lines: this.chronicle.lines,
    };
  }

  #committed(batch: Batch, _now: Instant): void {
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
    const hash = closure(`${host.name}-${plan.version}`);
    this.#behaviours.set(hash, plan.behaviours[host.name] ?? GOOD);
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
