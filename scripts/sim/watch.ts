import type { HttpAnswer, HttpRequest, UnitRun } from "@nixwave/agent";
import type { Batch, DerivedChange } from "@nixwave/cp";
import {
  type ClosureHash,
  explainHost,
  type Fleet,
  type HostName,
  type HostRollout,
  type Instant,
  isSettled,
  type JournalId,
  planAll,
  type Rollout,
  type RolloutId,
} from "@nixwave/effects";
import { type EventsAnswer, HEADER } from "@nixwave/protocol";
import {
  backwards,
  badlyOpen,
  failedTooSoon,
  haltedTooSoon,
  openedTooSoon,
  outOfOrder,
  overBudget,
  owesOther,
  type Replaying,
  unhalted,
  unprovenConvergence,
  unreplayed,
  wronglyFailed,
} from "@nixwave/testkit";
import type { SimHost } from "./agentProcess.ts";
import { type Machine, OLD } from "./machine.ts";
import { type Doubts, difference } from "./parity.ts";
import { shuffledPlan } from "./shuffled.ts";
import type { World } from "./world.ts";

const utf8 = new TextDecoder();
/** No request is waited for longer. */
const ANSWERS_WITHIN_MS = 45_000;

interface JournalMarks {
  readonly journalId: JournalId;
  readonly steadyNow: number;
  readonly newestCreatedAt: number;
}

/** Looks at every step of a world, as cheaply as what changed allows; at crashes and at the end it looks at everything. */
export class Watch {
  readonly #world: World;
  /** The mirror's records as of the last commit. */
  #mirrors = new Map<string, HostRollout>();
  #streams = new Map<string, number>();
  /** The cursors that were looked at. */
  #cursors = new Map<RolloutId, number>();
  readonly #kinds = new Map<RolloutId, Rollout["kind"]>();
  /** Channels whose gate `replay` was closed, as the rows have it. */
  #replaying = new Map<string, Replaying>();
  /** "channel closure". */
  #quarantined = new Set<string>();
  /** What agents were told is taken. */
  #acked = new Map<string, number>();
  readonly #proven = new Map<HostName, Set<ClosureHash>>();
  /** Per machine: a clone writes the same journal on its own. */
  readonly #journals = new Map<SimHost, JournalMarks>();
  #replaced = false;
  #replacedAtMs = Number.NEGATIVE_INFINITY;
  commits = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Another database is in place: what was acknowledged to agents is theirs to replay. */
  databaseReplaced(): void {
    this.#replaced = true;
    this.#replacedAtMs = this.#world.time.nowMs;
    this.#mirrors = new Map();
    this.#streams = new Map();
    this.#cursors = new Map();
    this.#acked = new Map();
  }

  /** A control plane is up, over a database that may be another one: what it begins with is no news. */
  ready(fleet: Fleet): void {
    this.#mirrors = new Map();
    this.#streams = new Map(this.#world.cp.disk.streams());
    this.#quarantined = new Set(this.#world.cp.disk.quarantines());
    this.#replaying = new Map();
    for (const [channel, since] of this.#world.cp.disk.replaying())
      this.#replaying.set(channel, { since, before: this.#reports(fleet) });
    for (const [stream, seq] of this.#acked) {
      const stored = this.#streams.get(stream);
      // Only the journal that a host writes now has a row: whoever forgot has begun anew.
      if (stored === undefined ? !this.#hasOther(stream) : stored < seq)
        this.#hold("I6", `${stream}: ${seq} was acknowledged and is gone`);
    }
    for (const channel of fleet.channels())
      for (const { rolloutId, cursor, kind } of fleet.rolloutsOf(channel)) {
        this.#cursors.set(rolloutId, cursor);
        this.#kinds.set(rolloutId, kind);
      }
  }

  /** "host rollout journal": the stream is there under another journal. */
  #hasOther(stream: string): boolean {
    const of = stream.slice(0, stream.lastIndexOf(" ") + 1);
    return [...this.#streams.keys()].some((key) => key.startsWith(of));
  }

  /** An agent has learned what is taken. */
  acked(host: HostName, { headers }: HttpRequest, { body }: HttpAnswer): void {
    // What the database before this one has answered may still be on its way.
    if (this.#world.time.nowMs < this.#replacedAtMs + ANSWERS_WITHIN_MS) return;
    // The agent itself holds it to its schema, and takes nothing of one that is none.
    const answer: EventsAnswer = JSON.parse(utf8.decode(body));
    for (const [rolloutId, { ackedThrough }] of Object.entries(answer.streams)) {
      const key = `${host} ${rolloutId} ${headers[HEADER.journal]}`;
      if (ackedThrough > 0 && this.#streams.has(key))
        this.#acked.set(key, Math.max(ackedThrough, this.#acked.get(key) ?? 0));
    }
  }

  committed(batch: Batch, now: Instant): void {
    const { fleet } = this.#world.cp;
    if (fleet === null) return;
    this.commits += 1;
    this.#replayGates(fleet, batch);
    this.#queued(fleet, batch, now);
    let touched = false;
    for (const { change } of batch.changes) touched = this.#changed(fleet, change) || touched;
    if (!touched) return;
    for (const channel of fleet.channels())
      for (const rollout of fleet.rolloutsOf(channel)) {
        const on = { now, quarantined: this.#quarantined };
        this.#hold("I7/I8", badlyOpen(fleet, rollout, on));
        this.#hold("I8", unhalted(fleet, rollout));
      }
  }

  /** True where it may have closed a gate. */
  #changed(fleet: Fleet, change: DerivedChange): boolean {
    switch (change.kind) {
      case "RecordChanged":
        this.#record(fleet, change.record);
        return change.record.kind === "Failed";
      case "StreamAdvanced": {
        const key = `${change.host} ${change.rolloutId} ${change.journalId}`;
        const before = this.#streams.get(key);
        if (before !== undefined && change.lastSeq !== before + 1)
          this.#hold("I6", `${key}: ${change.lastSeq} follows ${before}`);
        this.#streams.set(key, change.lastSeq);
        return false;
      }
      case "RolloutChanged": {
        const { rolloutId, cursor } = change.rollout;
        const rollout = fleet.rollout(rolloutId);
        if (rollout !== null && cursor > (this.#cursors.get(rolloutId) ?? 1))
          this.#hold("I8", openedTooSoon(fleet, rollout));
        this.#cursors.set(rolloutId, cursor);
        const before = this.#kinds.get(rolloutId);
        this.#kinds.set(rolloutId, change.rollout.kind);
        if (before === "Active" || before === "Completed")
          this.#hold("I8", haltedTooSoon(fleet, change.rollout));
        return true;
      }
      case "QuarantineInserted":
        this.#quarantined.add(`${change.channel} ${change.closure}`);
        return true;
      case "QuarantineRemoved":
        this.#quarantined.delete(`${change.channel} ${change.closure}`);
        return false;
      case "DispatchChanged":
      case "MarksChanged":
      case "FreezeInserted":
        return true;
      case "TransitionRecorded":
      case "GateMoved":
      case "ReleaseVerified":
      case "ChannelUnverified":
      case "FreezeRemoved":
      case "HostHeard":
      case "HostRevoked":
      case "ReplayBegan":
      case "HostReplayed":
      case "ReplayEnded":
        return false;
    }
  }

  #reports(fleet: Fleet): Replaying["before"] {
    const names = [...this.#world.hosts.keys()];
    return new Map(names.map((name) => [name, fleet.host(name)?.report ?? null]));
  }

  #replayGates(fleet: Fleet, { observations }: Batch): void {
    for (const observation of observations) {
      if (observation.kind !== "ReplayGateSet") continue;
      const { channel, since } = observation;
      if (since === null) this.#replaying.delete(channel);
      else this.#replaying.set(channel, { since, before: this.#reports(fleet) });
    }
  }

  #queued(fleet: Fleet, { changes }: Batch, now: Instant): void {
    const queued = changes.flatMap(({ change }) =>
      change.kind === "DispatchChanged" && change.dispatch.state === "queued"
        ? [change.dispatch]
        : [],
    );
    for (const [index, { host, rolloutId }] of queued.entries()) {
      const release = fleet.release(rolloutId);
      const later = new Set(queued.slice(index + 1).map((each) => each.host));
      if (release === null) continue;
      this.#hold("I9", overBudget(fleet, release, { host, later }));
      this.#hold("I8", outOfOrder(fleet, release, host));
      const replaying = this.#replaying.get(release.channel);
      if (replaying !== undefined)
        this.#hold("I7", unreplayed(fleet, release, { ...replaying, now }));
    }
  }

  #record(fleet: Fleet, record: HostRollout): void {
    const key = `${record.host} ${record.rolloutId}`;
    const before = this.#mirrors.get(key) ?? null;
    this.#mirrors.set(key, record);
    this.#hold("I3", before === null ? null : unprovenConvergence(before, record));
    this.#hold("I3", wronglyFailed(before, record));
    this.#hold("I3", failedTooSoon(before, record));
    this.#hold("I3", owesOther(fleet, before, record));
    if (before !== null) this.#hold("I12", backwards(before, record));
    const host = this.#world.hosts.get(record.host);
    const own = host?.journal?.record(record.rolloutId) ?? null;
    // Two machines that wrote one journal have two histories, until one of them learns of it; at rest they are compared.
    if (this.#isCloned(record.host)) return;
    if (own !== null && own.journalId === record.journalId && own.lastSeq === record.lastSeq)
      // Whether a newer rollout has superseded it stands in that one's stream, which may still be on its way.
      this.parity({ ...own, supersededBy: null }, { ...record, supersededBy: null });
  }

  /**
   * I6 at the wire: nothing is acknowledged that no commit has, and no journal is refused as set back unless its host was cloned:
   * else a number was given twice. Given back as it is.
   */
  answered(host: HostName, request: HttpRequest, answer: HttpAnswer): HttpAnswer {
    if (!request.url.includes("/v1/agent/events")) return answer;
    const text = utf8.decode(answer.body);
    if (answer.status === 409 && text.includes('"set-back"') && !this.#isCloned(host))
      this.#hold("I6", `${host} has given a number twice: ${text}`);
    if (answer.status !== 200 || this.#replaced) return answer;
    const journalId = request.headers[HEADER.journal];
    const { streams }: EventsAnswer = JSON.parse(text);
    for (const [rolloutId, { ackedThrough, refused }] of Object.entries(streams)) {
      if (refused.some(({ code }) => code === "unknown-rollout")) continue;
      const stored = this.#streams.get(`${host} ${rolloutId} ${journalId}`) ?? 0;
      if (ackedThrough > stored)
        this.#hold("I6", `${host} ${rolloutId}: ${ackedThrough} acknowledged, ${stored} stored`);
    }
    return answer;
  }

  get #doubts(): Doubts {
    return { isReplaced: this.#replaced, isLiedTo: this.#world.adversary !== null };
  }

  /** I4: for the same envelopes, agent and CP hold equal records. */
  parity(own: HostRollout, mirror: HostRollout): void {
    this.#hold("I4", difference(own, mirror, this.#doubts));
  }

  fired({ unit, closure }: UnitRun, host: SimHost): void {
    if (unit.purpose === "rollback") {
      const isProven =
        closure === OLD ||
        this.#proven.get(host.name)?.has(closure) === true ||
        hasConvergedOn(host, closure);
      return this.#hold("I1", isProven ? null : `${host.name} rolls back to ${closure}, unproven`);
    }
    const isNamed = [...this.#world.repository.releases.values()].some(
      ({ channel, hosts }) =>
        channel === host.channel &&
        hosts.some((listed) => listed.host === host.name && listed.closure === closure),
    );
    return this.#hold(
      "I1",
      isNamed ? null : `${host.name} activates ${closure}, which no release names`,
    );
  }

  /** A record of the host has moved in its journal. */
  moved(host: SimHost, machine: Machine, to: string): void {
    const { journal } = host;
    if (journal === null) return;
    this.journal(host);
    // Also where the record itself says that all is well: the machine knows better.
    if (to === "Soaking" && machine.isBusy)
      this.#hold("I2", `${host.name} soaks while a switch or a rollback of it still runs`);
    const underWay = journal.all().filter((each) => each.kind !== "opaque" && isUnderWay(each));
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

  /** I5, I6 and I13 over what is on the CP's disk: after a crash of it, and at the end. */
  async stored(): Promise<void> {
    const { cp } = this.#world;
    const { now } = cp;
    const unclean = cp.disk.unclean();
    if (unclean !== null) this.#hold(unclean.invariant, unclean.what);
    const plans = shuffledPlan(await cp.disk.loaded(), now);
    if (plans !== null) this.#hold("I13", plans);
  }

  /** I10, over every host. It is total: a host without an answer throws. */
  explained(fleet: Fleet, now: Instant): void {
    for (const name of this.#world.hosts.keys()) explainHost(fleet, name, now);
  }

  /** Both sides of every record, when all was sent and taken. */
  everyParity(fleet: Fleet): void {
    for (const host of this.#world.hosts.values()) {
      for (const own of host.journal?.all() ?? []) {
        if (own.kind === "opaque" || host.isGone) continue;
        const mirror = fleet.record(own.rolloutId, own.host);
        if (mirror === null || mirror.journalId !== own.journalId || own.lastSeq === 0) continue;
        if (mirror.lastSeq === own.lastSeq) this.parity(own, mirror);
        // What a clone has told that is gone since is not this machine's to tell.
        else if (isKept(host, own.rolloutId) && !this.#isCloned(own.host))
          this.#hold(
            "I6",
            `${own.host} is at ${own.lastSeq} of ${own.rolloutId}, its mirror at ${mirror.lastSeq}`,
          );
      }
    }
  }

  /** Nothing that the full plan would do is left undone by the incremental one. */
  planned(fleet: Fleet, now: Instant): void {
    const { inputs, effects } = planAll(fleet, now);
    const left = [...inputs, ...effects].map((each) => JSON.stringify(each));
    if (left.length > 0) this.#hold("I13", `the full plan finds ${left.slice(0, 2).join(", ")}`);
  }

  #isCloned(host: HostName): boolean {
    const { faults } = this.#world.scenario;
    return faults.some((fault) => fault.kind === "cloned" && fault.host === host);
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

const isUnderWay = (record: HostRollout): boolean =>
  record.supersededBy === null && record.kind !== "Pending" && !isSettled(record);

/** Only the newest streams are kept for a replay; a CP that was set back misses the end of older ones for ever. */
const isKept = (host: SimHost, rolloutId: RolloutId): boolean =>
  host.journal?.records.streams().some((stream) => stream.rolloutId === rolloutId) === true;
