import {
  ackMarks,
  answeredDispatch,
  type Dispatch,
  type DispatchAck,
  type DispatchReject,
  explainHost,
  type FleetChange,
  type FleetState,
  foldInput,
  type HostName,
  type HostReport,
  type HostRollout,
  hostForgot,
  hostStateChanged,
  type Input,
  type Instant,
  isSettled,
  type JournalId,
  type Plan,
  plan,
  planAll,
  queuedDispatch,
  supersede,
} from "@nixwave/effects";
import { checkHandOut, checkQueued, checkWave } from "./controlPlaneChecks.ts";
import { form } from "./form.ts";
import { operate } from "./operator.ts";
import {
  aStepLater,
  leaseFrom,
  load,
  NOW,
  noRows,
  type Rows,
  reportOf,
  soon,
  store,
} from "./rows.ts";
import { channelsOf, type OperatorAct, releasedBy, releaseOf, type Setting } from "./setting.ts";
import type { Watch } from "./watch.ts";

/** What one event of a host means to the CP beside its mirror, which lies with the host. */
export interface Mirrored {
  readonly after: HostRollout;
  readonly answer: DispatchAck | DispatchReject | null;
  readonly isMoved: boolean;
  readonly isQuarantined: boolean;
}

export interface Contact {
  readonly host: HostName;
  readonly journalId: JournalId;
}

/** What reaches the CP. */
export type Arrival =
  | { readonly kind: "release" }
  | (Contact & { readonly kind: "events"; readonly mirrored: readonly Mirrored[] })
  | (Contact & { readonly kind: "poll" })
  | (Contact & { readonly kind: "heartbeat"; readonly streams: HostReport["streams"] })
  | { readonly kind: "clock"; readonly heard: readonly Contact[] }
  | { readonly kind: "restart" }
  | { readonly kind: "operator"; readonly act: OperatorAct; readonly host: HostName };

export interface Answered {
  readonly rows: Rows;
  /** What a poll was answered with. */
  readonly offer: Dispatch | null;
  /** To whom dispatches were queued. */
  readonly queued: readonly HostName[];
}

/** Waves, and a few rounds for what follows them. */
const ROUNDS_MAX = 16;

/** Every batch begins with a restart: what the CP knows is what it has stored, and what it heard. */
export function arrive(rows: Rows, arrival: Arrival, world: Setting, watch: Watch): Answered {
  const fleet = load(rows, world);
  const rest = plan(fleet, NOW);
  fleet.planned(rest);
  const isQuiet = rest.inputs.length === 0 && rest.effects.length === 0;
  watch.check(isQuiet || world.bug !== null, "restart", () => {
    const found = [...rest.inputs, ...rest.effects].map(({ kind }) => kind);
    return `a CP that starts again decides anew: ${found.join(", ")}`;
  });
  const now = arrival.kind === "clock" ? aStepLater(NOW) : soon(NOW);
  const turn = new Turn(fleet, rows, now, world, watch);
  turn.take(arrival);
  turn.settle();
  const offer = arrival.kind === "poll" ? turn.handOut(arrival.host) : null;
  if (offer !== null) turn.settle();
  turn.explain(rows);
  return { rows: turn.stored(rows), offer, queued: turn.queued };
}

export const firstRows = (world: Setting, contacts: readonly Contact[], watch: Watch): Rows => {
  const opened = arrive(noRows(world), { kind: "release" }, world, watch).rows;
  return arrive(opened, { kind: "clock", heard: contacts }, world, watch).rows;
};

/** One batch of the CP's writer, without its store. */
export class Turn {
  readonly fleet: FleetState;
  readonly world: Setting;
  readonly now: Instant;
  readonly watch: Watch;
  readonly queued: HostName[] = [];
  /** Kept beside the fleet, which a planted bug may have left without them. */
  readonly quarantined: Set<string>;
  released: number;
  #isChecked = false;

  constructor(fleet: FleetState, rows: Rows, now: Instant, world: Setting, watch: Watch) {
    this.fleet = fleet;
    this.now = now;
    this.world = world;
    this.watch = watch;
    this.quarantined = new Set(rows.quarantines.map(({ closure }) => closure));
    this.released = rows.released;
  }

  apply(change: FleetChange): void {
    if (change.kind === "QuarantineInserted") this.quarantined.add(change.closure);
    if (change.kind === "QuarantineRemoved") this.quarantined.delete(change.closure);
    this.fleet.apply(change);
  }

  fold(input: Input): void {
    const before = "rolloutId" in input ? this.fleet.rollout(input.rolloutId) : null;
    const { outcome, changes } = foldInput(this.fleet, input);
    if (before !== null && outcome.kind !== "refused" && "rolloutId" in input)
      this.watch.rolloutCells.add(`${before.kind} × ${input.kind}`);
    for (const change of changes) this.apply(change);
  }

  take(arrival: Arrival): void {
    switch (arrival.kind) {
      case "release": {
        const before = releasedBy(this.world, this.released);
        this.released += 1;
        for (const nth of releasedBy(this.world, this.released)) {
          if (before.includes(nth)) continue;
          const release = releaseOf(this.world, nth);
          this.apply({ kind: "ReleaseVerified", release, current: true, at: this.now });
        }
        return;
      }
      case "events":
        this.#heard(arrival, null);
        for (const one of arrival.mirrored) this.#mirrored(one);
        return;
      case "poll":
        return this.#heard(arrival, null);
      case "heartbeat":
        return this.#heard(arrival, reportOf(arrival.streams));
      case "clock":
        for (const contact of arrival.heard) this.#heard(contact, null);
        return;
      case "restart":
        return this.#restarted();
      case "operator":
        return operate(this, arrival.act, arrival.host);
    }
  }

  /** Rounds until the plan has nothing more. The first is held against the plan that looks at everyone. */
  settle(): void {
    for (let round = 0; ; round += 1) {
      this.watch.check(round < ROUNDS_MAX, "rounds", () => "plan and fold do not come to an end");
      if (round >= ROUNDS_MAX) return;
      const next = plan(this.fleet, this.now);
      if (!this.#isChecked) this.#compare(next);
      this.fleet.planned(next);
      if (next.inputs.length === 0 && next.effects.length === 0) return;
      for (const input of next.inputs) {
        checkWave(this, input);
        this.fold(input);
      }
      for (const effect of next.effects) {
        if (effect.kind !== "RemoteQueueDispatch") continue;
        checkQueued(this, effect.host, effect.rolloutId);
        const dispatch = queuedDispatch(this.fleet, effect, this.now);
        this.queued.push(effect.host);
        this.apply({ kind: "DispatchChanged", dispatch });
      }
    }
  }

  /** The agent's long-poll. */
  handOut(host: HostName): Dispatch | null {
    const dispatch = this.fleet.openDispatch(host);
    if (dispatch === null) return null;
    const isOut = dispatch.leaseUntil !== null && this.now < dispatch.leaseUntil;
    if (dispatch.state === "handed-out" && isOut) return null;
    checkHandOut(this, dispatch);
    const leaseUntil = leaseFrom(this.now);
    const handed: Dispatch = { ...dispatch, state: "handed-out", changedAt: this.now, leaseUntil };
    this.apply({ kind: "DispatchChanged", dispatch: handed });
    return handed;
  }

  /** I10. */
  explain({ sights }: Rows): void {
    for (const { host } of sights) {
      const { answer, rolloutId } = explainHost(this.fleet, host, this.now);
      const isNamed = answer.kind !== "no-release" && rolloutId !== null;
      const isOpened = channelsOf(this.world).every(
        (channel) => this.fleet.newestRollout(channel) !== null,
      );
      this.watch.check(isNamed || !isOpened, "I10", () => `no answer why ${host} does not move`);
    }
  }

  stored(before: Rows): Rows {
    const rows = store(this, before, this.now);
    const since = NOW;
    const quarantines = [...this.quarantined].toSorted().flatMap((closure) => {
      const known = [...before.quarantines, ...this.fleet.quarantines()];
      const one = known.find((each) => each.closure === closure);
      return one === undefined ? [] : [{ ...one, since }];
    });
    return { ...rows, quarantines };
  }

  #compare(next: Plan): void {
    this.#isChecked = true;
    const whole = planAll(this.fleet, this.now);
    const said = (one: Plan) => form([one.inputs, one.effects], String);
    this.watch.check(
      said(next) === said(whole),
      "whole-plan",
      () => `the plan of what was touched is ${said(next)}, that of everyone ${said(whole)}`,
    );
  }

  #heard({ host, journalId }: Contact, report: HostReport | null): void {
    const known = this.fleet.host(host)?.journalId ?? null;
    const isNew = known !== journalId;
    const forgotten = isNew ? hostForgot(this.fleet, host, journalId, this.now) : [];
    this.apply({ kind: "HostHeard", host, journalId, at: this.now, report });
    for (const input of forgotten) this.fold(input);
  }

  #mirrored({ after, answer, isMoved, isQuarantined }: Mirrored): void {
    const { fleet, now } = this;
    const { rolloutId, host, channel, targetClosure } = after;
    const before = fleet.record(rolloutId, host);
    this.apply({ kind: "RecordChanged", record: after });
    if (answer !== null) this.#answered(after, answer);
    if (isQuarantined)
      this.apply({ kind: "QuarantineInserted", channel, closure: targetClosure, since: now });
    if (isMoved && before !== null) this.fold(hostStateChanged(fleet, before, after, now));
  }

  #answered({ rolloutId, host }: HostRollout, answer: DispatchAck | DispatchReject): void {
    const { fleet, now } = this;
    if (answer.kind === "DispatchAck") {
      const marks = ackMarks(fleet.marks(rolloutId, host), answer.attempt);
      this.apply({ kind: "MarksChanged", marks });
      for (const older of fleet.recordsOf(host)) {
        if (older.rolloutId === rolloutId || older.kind === "Pending" || isSettled(older)) continue;
        this.apply({ kind: "RecordChanged", record: supersede(older, rolloutId) });
      }
    }
    const dispatch = fleet.dispatch(rolloutId, host);
    if (dispatch === null) return;
    const answered = answeredDispatch(dispatch, answer, now);
    if (answered !== dispatch) this.apply({ kind: "DispatchChanged", dispatch: answered });
  }

  /** Renewed leases were in memory only: they count from the start anew. */
  #restarted(): void {
    const rollouts = channelsOf(this.world).flatMap((channel) => this.fleet.rolloutsOf(channel));
    for (const rollout of rollouts)
      for (const host of this.fleet.hostNames()) {
        const dispatch = this.fleet.dispatch(rollout.rolloutId, host);
        if (dispatch === null || dispatch.leaseUntil === null) continue;
        const leaseUntil = leaseFrom(this.now);
        this.apply({ kind: "DispatchChanged", dispatch: { ...dispatch, leaseUntil } });
      }
  }
}
