import { type EmitLog, instant, type Release } from "@nixwave/effects";
import type { SimHost } from "./agentProcess.ts";
import { HostTrust } from "./hostTrust.ts";
import { Liar } from "./liar.ts";
import { LostRefusals } from "./lostRefusals.ts";
import type { Fault, Scenario } from "./scenario.ts";
import type { SignedRepository } from "./signedRepository.ts";
import { SignedTruth } from "./signedTruth.ts";
import type { World } from "./world.ts";

type Struck = Extract<Fault, { readonly kind: "lies" | "mirror-attacks" }>;

/** What a world's lies and attacks came to. */
export interface Lied {
  readonly told: number;
  readonly refused: number;
  /** What the honest log calls them. */
  readonly codes: readonly string[];
}

/** A signed world's liar and mirrors, when they begin and when they stop. */
export class Adversary {
  readonly liar: Liar;
  readonly repository: SignedRepository;
  readonly truth: SignedTruth;
  readonly #lost: LostRefusals;
  readonly #world: World;
  #clones = 0;

  constructor(world: World, repository: SignedRepository) {
    this.#world = world;
    this.repository = repository;
    this.truth = new SignedTruth({
      repository,
      nowMs: () => world.time.nowMs,
      wallAheadMs: ({ name }) => wallAheadMs(world.scenario, name),
      fail: (invariant, detail) => world.fail(invariant, detail),
    });
    this.#lost = new LostRefusals(world.scenario.faults, () => world.time.nowMs);
    this.liar = new Liar({
      repository,
      random: world.random.stream("liar"),
      time: world.time,
      now: () => world.cp.now,
      say: (what) => world.say("liar", what),
    });
  }

  /** What a host trusts from its installation on; a clone's is a copy. */
  trustOf(name: string, channel: Release["channel"], from: SimHost | null): HostTrust {
    const { repository } = this;
    const place = from === null ? name : `${name}-clone-${(this.#clones += 1)}`;
    return new HostTrust({
      stateDir: repository.stateDirOf(place),
      root: repository.root,
      channel,
      realWork: this.#world.time.realWork,
      nowMs: () => this.#world.time.nowMs,
      from: from?.trust ?? null,
    });
  }

  strike(fault: Struck): void {
    const world = this.#world;
    if (fault.kind === "lies") {
      this.liar.begin(fault);
      world.say("liar", `begins to tell ${listed(fault.hosts)} ${fault.lie}`);
      world.time.after(fault.forMs, () => {
        if (this.liar.end(fault)) world.say("liar", `no longer tells ${fault.lie}`);
      });
      return;
    }
    const { evil } = this.repository.begin(fault, instant(world.time.nowMs));
    const whom = fault.where === "origin" ? "the control plane" : listed(fault.hosts);
    const named = evil === null ? "" : `, with ${evil.rolloutId.slice(0, 14)}`;
    world.say("mirror", `attacks ${whom}: ${fault.attack}${named}`);
    world.time.after(fault.forMs, () => {
      if (this.repository.end(fault, instant(world.time.nowMs)))
        world.say("mirror", `is honest again: ${fault.attack} is over`);
    });
  }

  /** Whoever lied is gone, and whatever was stolen is replaced. */
  end(): void {
    this.liar.endAll();
    this.repository.endAll(instant(this.#world.time.nowMs));
  }

  logged(host: SimHost, who: string, line: EmitLog): void {
    this.#lost.logged(host, line);
    const refusal = this.truth.logged(host, line);
    if (refusal !== null)
      this.#world.say(who, `refuses ${refusal.rolloutId.slice(0, 14)}: ${refusal.reason}`);
  }

  counted(): Lied {
    const told = [...this.liar.told.values()].reduce((sum, times) => sum + times, 0);
    return { told, refused: this.truth.refusals.length, codes: [...this.truth.codes].sort() };
  }

  /** When all was sent and taken. */
  rested(): void {
    for (const host of this.#world.hosts.values()) this.truth.timed(host);
    this.truth.told((refusal) => this.#lost.mayBeLost(refusal));
  }
}

/** All that the scenario ever sets it forward by. */
const wallAheadMs = ({ hosts, faults }: Scenario, host: string): number =>
  faults
    .flatMap((fault) => (fault.kind === "jump" && fault.who === host ? [fault.byMs] : []))
    .concat(hosts.find(({ name }) => name === host)?.wallOffMs ?? 0)
    .reduce((sum, byMs) => sum + Math.max(0, byMs), 0);

const listed = (hosts: readonly string[]): string =>
  hosts.length > 3 ? `${hosts.length} hosts` : hosts.join(", ");
