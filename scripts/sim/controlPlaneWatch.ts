import type { HttpAnswer, HttpRequest } from "@nixwave/agent";
import type { Batch, DerivedChange } from "@nixwave/cp";
import {
  type Fleet,
  type HostMarks,
  type HostName,
  type HostRollout,
  type Instant,
  noMarks,
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
import { Heard } from "./heard.ts";
import { type Doubts, difference } from "./parity.ts";
import { isPruned } from "./retained.ts";
import { isEverCloned, isEverRevoked } from "./scenario.ts";
import type { World } from "./world.ts";

const utf8 = new TextDecoder();
/** No request is waited for longer. */
const ANSWERS_WITHIN_MS = 45_000;
/** Requests by which the control plane hears a host. */
const HEARD_BY = /\/v1\/agent\/(dispatch|events|heartbeat)/;

/** Looks at what the control plane commits and answers, at every step, as cheaply as what changed allows. */
export class ControlPlaneWatch {
  readonly #world: World;
  /** The mirror's records as of the last commit. */
  #mirrors = new Map<string, HostRollout>();
  #marks = new Map<string, HostMarks>();
  /** "channel closure": what the changes of one commit say is to be quarantined. */
  readonly #owed = new Set<string>();
  readonly #heard = new Heard();
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
  #replaced = false;
  #replacedAtMs = Number.NEGATIVE_INFINITY;

  constructor(world: World) {
    this.#world = world;
  }

  /** Another database is in place: what was acknowledged to agents is theirs to replay. */
  databaseReplaced(): void {
    this.#replaced = true;
    this.#heard.databaseReplaced();
    this.#marks = new Map();
    this.#replacedAtMs = this.#world.time.nowMs;
    this.#mirrors = new Map();
    this.#streams = new Map();
    this.#cursors = new Map();
    this.#acked = new Map();
  }

  /** A control plane is up, over a database that may be another one: what it begins with is no news. */
  ready(fleet: Fleet): void {
    const { now } = this.#world.cp;
    this.#heard.ready(now);
    this.#mirrors = new Map();
    this.#marks = new Map();
    this.#streams = new Map(this.#world.cp.disk.streams());
    this.#quarantined = new Set(this.#world.cp.disk.quarantines());
    this.#replaying = new Map();
    for (const [channel, since] of this.#world.cp.disk.replaying())
      this.#replaying.set(channel, { since, before: this.#reports(fleet) });
    for (const [stream, seq] of this.#acked) {
      const stored = this.#streams.get(stream);
      // Only the journal that a host writes now has a row: whoever forgot has begun anew. Of a pruned rollout none has.
      const isDropped = this.#hasOther(stream) || isPruned(fleet, stream);
      if (stored === undefined ? !isDropped : stored < seq)
        this.#hold("I6", `${stream}: ${seq} was acknowledged and is gone`);
    }
    for (const channel of fleet.channels())
      for (const rollout of fleet.rolloutsOf(channel)) {
        const { rolloutId, cursor, kind } = rollout;
        this.#cursors.set(rolloutId, cursor);
        this.#kinds.set(rolloutId, kind);
        this.#stored(fleet, rolloutId);
        this.#hold("I7/I8", badlyOpen(fleet, rollout, { now, quarantined: this.#quarantined }));
      }
  }

  /** What the next change of each record and mark is compared with. */
  #stored(fleet: Fleet, rolloutId: RolloutId): void {
    for (const host of this.#world.hosts.keys()) {
      const key = `${host} ${rolloutId}`;
      const record = fleet.record(rolloutId, host);
      if (record !== null) this.#mirrors.set(key, record);
      this.#marks.set(key, fleet.marks(rolloutId, host));
    }
  }

  /** "host rollout journal": the stream is there under another journal. */
  #hasOther(stream: string): boolean {
    const of = stream.slice(0, stream.lastIndexOf(" ") + 1);
    return [...this.#streams.keys()].some((key) => key.startsWith(of));
  }

  /** An agent has learned what is taken. */
  acked(host: HostName, { headers }: HttpRequest, { body }: HttpAnswer): void {
    if (this.#isJustReplaced) return;
    // The agent itself holds it to its schema, and takes nothing of one that is none.
    const answer: EventsAnswer = JSON.parse(utf8.decode(body));
    for (const [rolloutId, { ackedThrough }] of Object.entries(answer.streams)) {
      const key = `${host} ${rolloutId} ${headers[HEADER.journal]}`;
      if (ackedThrough > 0 && this.#streams.has(key))
        this.#acked.set(key, Math.max(ackedThrough, this.#acked.get(key) ?? 0));
    }
  }

  /** What the database before this one has answered may still be on its way. */
  get #isJustReplaced(): boolean {
    return this.#world.time.nowMs < this.#replacedAtMs + ANSWERS_WITHIN_MS;
  }

  committed(batch: Batch, now: Instant): void {
    const { fleet } = this.#world.cp;
    if (fleet === null) return;
    this.#replayGates(fleet, batch);
    this.#heard.committed(batch);
    this.#queued(fleet, batch, now);
    let touched = false;
    for (const { change } of batch.changes) touched = this.#changed(fleet, change) || touched;
    this.#quarantines(batch);
    this.#explained(fleet, batch, now);
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
      case "MarksChanged":
        this.#marked(change.marks);
        return true;
      case "DispatchChanged":
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

  /** I10, over the hosts of this commit. */
  #explained(fleet: Fleet, { changes }: Batch, now: Instant): void {
    const touched = new Set(changes.flatMap(({ change }) => hostOf(change) ?? []));
    for (const host of touched) this.#world.watch.explained(fleet, host, now);
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
      if (this.#heard.isDuplicate(host, now))
        this.#hold("I7", `${host} was dispatched to, and two machines answer to that name`);
      if (release === null) continue;
      this.#hold("I9", overBudget(fleet, release, { host, later }));
      this.#hold("I8", outOfOrder(fleet, release, host));
      const replaying = this.#replaying.get(release.channel);
      if (replaying !== undefined)
        this.#hold("I7", unreplayed(fleet, release, { ...replaying, now }));
    }
  }

  /** I8: before somebody is taken for lost or for offline, the signed time has passed in silence. */
  #marked(marks: HostMarks): void {
    const { host, rolloutId, skippedAt } = marks;
    const key = `${host} ${rolloutId}`;
    const before = this.#marks.get(key) ?? noMarks(rolloutId, host);
    this.#marks.set(key, marks);
    const { repository, scenario } = this.#world;
    const release = repository.releases.get(rolloutId);
    if (release === undefined) return;
    const closure = release.hosts.find((listed) => listed.host === host)?.closure;
    // Who is revoked or whose closure is quarantined is passed over at once.
    const isForbidden =
      isEverRevoked(scenario, host) || this.#quarantined.has(`${release.channel} ${closure}`);
    if (skippedAt !== null && isForbidden) return;
    this.#hold("I8", this.#heard.tooSoon(marks, before, release.policy));
  }

  /** I7: a closure that was taken back, or could not be, is quarantined by the commit that has learned it. */
  #quarantines({ changes }: Batch): void {
    for (const { change } of changes)
      if (change.kind === "QuarantineInserted" || change.kind === "QuarantineRemoved")
        this.#owed.delete(`${change.channel} ${change.closure}`);
    for (const key of this.#owed)
      if (!this.#quarantined.has(key))
        this.#hold("I7", `${key} was rolled back, and is not quarantined`);
    this.#owed.clear();
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
    if (owesQuarantine(before, record)) this.#owed.add(`${record.channel} ${record.targetClosure}`);
    const host = this.#world.hosts.get(record.host);
    const own = host?.journal?.record(record.rolloutId) ?? null;
    // Two machines that wrote one journal have two histories, until one of them learns of it; at rest they are compared.
    if (isEverCloned(this.#world.scenario, record.host)) return;
    if (own !== null && own.journalId === record.journalId && own.lastSeq === record.lastSeq)
      // Whether a newer rollout has superseded it stands in that one's stream, which may still be on its way.
      this.parity({ ...own, supersededBy: null }, { ...record, supersededBy: null });
  }

  /**
   * I6 at the wire: nothing is acknowledged that no commit has, and no journal is refused as set back unless its host was cloned:
   * else a number was given twice. Given back as it is.
   */
  answered(
    {
      host,
      request,
      askedAt,
    }: { readonly host: HostName; readonly request: HttpRequest; readonly askedAt: Instant },
    answer: HttpAnswer,
  ): HttpAnswer {
    if (answer.status < 300 && HEARD_BY.test(request.url)) this.#heard.answered(host, askedAt);
    if (!request.url.includes("/v1/agent/events")) return answer;
    const text = utf8.decode(answer.body);
    if (
      answer.status === 409 &&
      text.includes('"set-back"') &&
      !isEverCloned(this.#world.scenario, host)
    )
      this.#hold("I6", `${host} has given a number twice: ${text}`);
    if (answer.status !== 200 || this.#isJustReplaced) return answer;
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

  #hold(invariant: string, broken: string | null): void {
    if (broken !== null) this.#world.fail(invariant, broken);
  }
}

/** A rollback has ended for the first time, well or not. */
const owesQuarantine = (before: HostRollout | null, after: HostRollout): boolean =>
  (after.kind === "Reverted" && before?.kind !== "Reverted") ||
  (after.kind === "Failed" &&
    after.rollback === "failed" &&
    !(before?.kind === "Failed" && before.rollback === "failed"));

function hostOf(change: DerivedChange): HostName | null {
  if (change.kind === "RecordChanged") return change.record.host;
  if (change.kind === "DispatchChanged") return change.dispatch.host;
  return change.kind === "MarksChanged" ? change.marks.host : null;
}
