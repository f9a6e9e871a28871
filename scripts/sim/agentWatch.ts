import type { UnitRun } from "@nixwave/agent";
import {
  type ClosureHash,
  type HostName,
  type HostRollout,
  isSettled,
  type JournalId,
  type RolloutId,
  type UnitPurpose,
} from "@nixwave/effects";
import type { SimHost } from "./agentProcess.ts";
import { Alone } from "./alone.ts";
import { type Machine, OLD } from "./machine.ts";
import { Soaks } from "./soaks.ts";
import type { World } from "./world.ts";

/** What a unit that is fired switches to, or the next boot if one is staged. */
interface Aim {
  readonly purpose: UnitPurpose;
  readonly rolloutId: RolloutId;
  readonly closure: ClosureHash;
}

interface JournalMarks {
  readonly journalId: JournalId;
  readonly steadyNow: number;
  readonly newestCreatedAt: number;
}

/** Looks at what agents do: at their units, the boots that they stage, their journals and their machines. */
export class AgentWatch {
  readonly #world: World;
  readonly #proven = new Map<HostName, Set<ClosureHash>>();
  /** Per machine: a clone writes the same journal on its own. */
  readonly #journals = new Map<SimHost, JournalMarks>();
  readonly #alone: Alone;
  readonly #soaks = new Soaks();

  constructor(world: World) {
    this.#world = world;
    this.#alone = new Alone(world.scenario);
  }

  fired(run: UnitRun, host: SimHost): void {
    const { purpose, rolloutId } = run.unit;
    const { closure } = run;
    this.#hold("I11", this.#alone.fired(run, host, this.#world.time.nowMs));
    this.#aimed({ purpose, rolloutId, closure }, host);
  }

  /** The next boot of a host is to be another closure than what runs. */
  staged(closure: ClosureHash, host: SimHost): void {
    const record = underWayOf(host).at(-1);
    if (record === undefined)
      return this.#hold("I1", `${host.name} stages ${closure}, and nothing of it is under way`);
    const purpose = record.kind === "Failed" ? "rollback" : "switch";
    this.#aimed({ purpose, rolloutId: record.rolloutId, closure }, host);
  }

  /** I1: what a host may come to run is named for it by the release of that rollout, or was proven on it. */
  #aimed({ purpose, rolloutId, closure }: Aim, host: SimHost): void {
    if (purpose === "rollback") {
      const isProven =
        closure === OLD ||
        this.#proven.get(host.name)?.has(closure) === true ||
        hasConvergedOn(host, closure);
      return this.#hold("I1", isProven ? null : `${host.name} rolls back to ${closure}, unproven`);
    }
    const release = this.#world.repository.releases.get(rolloutId);
    const isNamed =
      release?.channel === host.channel &&
      release.hosts.some((listed) => listed.host === host.name && listed.closure === closure);
    return this.#hold(
      "I1",
      isNamed ? null : `${host.name} activates ${closure} for ${rolloutId}, which does not name it`,
    );
  }

  /** A record of the host has moved in its journal. */
  moved(host: SimHost, machine: Machine, to: string): void {
    const { journal } = host;
    this.#alone.moved(host, to, this.#world.time.nowMs);
    if (journal === null) return;
    this.journal(host);
    const { repository, time } = this.#world;
    this.#hold("I3", this.#soaks.moved(host, repository.releases, time.nowMs));
    // Also where the record itself says that all is well: the machine knows better.
    if (to === "Soaking" && machine.isBusy)
      this.#hold("I2", `${host.name} soaks while a switch or a rollback of it still runs`);
    const underWay = underWayOf(host);
    if (underWay.length > 1)
      this.#hold("one-under-way", `${host.name} has ${underWay.length} records under way`);
    if (to !== "Converged" && to !== "Reverted") return;
    const record = journal
      .all()
      .filter((each) => each.kind !== "opaque")
      .findLast(({ kind }) => kind === to);
    const { running } = machine.system;
    if (record?.kind === "Converged") {
      if (running !== record.targetClosure)
        this.#hold("I2", `${host.name} runs ${running} and converged`);
      if (machine.isNeverHealthy)
        this.#hold("I3", `${host.name} converged on ${running}, which is never healthy`);
      const proven = this.#proven.get(host.name) ?? new Set();
      this.#proven.set(host.name, proven.add(record.targetClosure));
    }
    if (
      record?.kind === "Reverted" &&
      (running !== record.revertedTo || running === record.targetClosure)
    )
      this.#hold("I2", `${host.name} runs ${running} and reverted to ${record.revertedTo}`);
  }

  /** I12 on the agent's side. */
  journal(host: SimHost): void {
    const facts = host.journal?.facts();
    if (facts === undefined) return;
    const steadyNow = facts.steadyNow ?? 0;
    const newestCreatedAt = facts.newestCreatedAt ?? 0;
    const before = this.#journals.get(host);
    if (before?.journalId === facts.journalId) {
      if (steadyNow < before.steadyNow) this.#hold("I12", `${host.name}'s now went back`);
      if (newestCreatedAt < before.newestCreatedAt)
        this.#hold("I12", `${host.name}'s newest acknowledged release went back`);
    }
    this.#journals.set(host, { journalId: facts.journalId, steadyNow, newestCreatedAt });
  }

  #hold(invariant: string, broken: string | null): void {
    if (broken !== null) this.#world.fail(invariant, broken);
  }
}

/** Nobody is told of a convergence whose agent dies right after its commit. */
const hasConvergedOn = (host: SimHost, closure: ClosureHash): boolean =>
  !host.machine.isEverIll(closure) &&
  (host.journal?.all() ?? []).some(
    (record) => record.kind === "Converged" && record.targetClosure === closure,
  );

const underWayOf = (host: SimHost): readonly HostRollout[] =>
  (host.journal?.all() ?? []).flatMap((record) =>
    record.kind !== "opaque" && isUnderWay(record) ? [record] : [],
  );

const isUnderWay = (record: HostRollout): boolean =>
  record.supersededBy === null && record.kind !== "Pending" && !isSettled(record);
