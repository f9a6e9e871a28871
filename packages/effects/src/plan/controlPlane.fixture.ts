import type { OutboundAgentEvent } from "../event.ts";
import { type HostRollout, isSettled } from "../host/state.ts";
import { supersede, transition } from "../host/transition.ts";
import {
  type BootId,
  type Channel,
  type ChannelRef,
  type ClosureHash,
  type FreezeId,
  type HostName,
  type JournalId,
  nextSeq,
  parseBootId,
  parseChannel,
  parseChannelRef,
  parseClosureHash,
  parseFreezeId,
  parseHostName,
  parseJournalId,
  parseProbeName,
  rolloutId,
} from "../ids.ts";
import { invariant } from "../invariant.ts";
import type { Result } from "../result.ts";
import type { Input } from "../rollout/input.ts";
import { ackMarks } from "../rollout/marks.ts";
import { type Instant, instant } from "../time.ts";
import type { FleetChange, HostReport, Leaving } from "./change.ts";
import { FleetState } from "./fleet.ts";
import { answeredDispatch, foldInput, queuedDispatch } from "./fold.ts";
import { hostForgot, hostStateChanged } from "./hostInputs.ts";
import { type Plan, plan } from "./plan.ts";

/** What the CP's writer does, without its store: folds, applies, and plans until nothing is left. */

function must<T, E>(parsed: Result<T, E>): T {
  invariant(parsed.ok, `a fixture's id is well formed: ${JSON.stringify(parsed)}`);
  return parsed.value;
}

export const host = (name: string): HostName => must(parseHostName(name));
export const channel = (name: string): Channel => must(parseChannel(name));
/** "a" stands for aaaa…: people read the first seven. */
export const ref = (digit: string): ChannelRef => must(parseChannelRef(digit.repeat(40)));
export const closure = (name: string): ClosureHash =>
  must(parseClosureHash(`${"0".repeat(32)}-${name}`));
export const journal = (digit: string): JournalId => must(parseJournalId(digit.repeat(32)));
export const freezeId = (digit: string): FreezeId => must(parseFreezeId(digit.repeat(16)));
export const BOOT: BootId = must(parseBootId("boot-1"));
export const START: Instant = instant(1_767_614_400_000);
export const STABLE = must(parseProbeName("system-stable"));
/** Waves, and a few rounds for what follows them. */
const ROUNDS_MAX = 16;
const LEASE_SECS = 120;

/** What happens in a round, for whoever wants to check or to print it. */
export interface Watcher {
  readonly planned: (plan: Plan, cp: ControlPlane) => void;
  readonly queued: (host: HostName, cp: ControlPlane) => void;
}

const nobody: Watcher = { planned: () => undefined, queued: () => undefined };

export class ControlPlane {
  fleet: FleetState;
  now: Instant = START;
  readonly inputs: Input[] = [];
  readonly #watcher: Watcher;

  constructor(watcher: Watcher = nobody) {
    this.#watcher = watcher;
    this.fleet = new FleetState(START);
  }

  /** A batch: some changes, then the plan, round by round. */
  commit(...changes: readonly FleetChange[]): void {
    for (const change of changes) this.fleet.apply(change);
    for (let round = 0; ; round += 1) {
      invariant(round < ROUNDS_MAX, "a plan comes to its end");
      const next = plan(this.fleet, this.now);
      this.#watcher.planned(next, this);
      this.fleet.planned(next);
      if (next.inputs.length === 0 && next.effects.length === 0) return;
      for (const input of next.inputs) this.fold(input);
      for (const effect of next.effects) {
        if (effect.kind !== "RemoteQueueDispatch") continue;
        const dispatch = queuedDispatch(this.fleet, effect, this.now);
        this.fleet.apply({ kind: "DispatchChanged", dispatch });
        this.#watcher.queued(effect.host, this);
      }
    }
  }

  fold(input: Input): void {
    this.inputs.push(input);
    for (const change of foldInput(this.fleet, input).changes) this.fleet.apply(change);
    if (!("failures" in input)) return;
    const { failures, reverted } = this.fleet.failures(input.rolloutId);
    invariant(
      failures === input.failures && reverted === input.reverted,
      `${input.kind} carries ${input.failures} failures, ${input.reverted} of them reverted, and folding it counts ${failures} and ${reverted}`,
    );
  }

  /** An operator's input, or the sentence that refuses it. */
  submit(made: Result<Input, string>): string | null {
    if (!made.ok) return made.error;
    this.fold(made.value);
    this.commit();
    return null;
  }

  heard(
    name: HostName,
    said: { leaving?: Leaving | null; journalId?: JournalId; runs?: ClosureHash } = {},
  ): void {
    const known = this.fleet.host(name);
    const journalId = said.journalId ?? known?.journalId ?? journal("a");
    if (known?.journalId !== null && known?.journalId !== journalId)
      for (const input of hostForgot(this.fleet, name, journalId, this.now)) this.fold(input);
    this.commit({
      kind: "HostHeard",
      host: name,
      journalId,
      at: this.now,
      report: {
        ...this.#report(name, journalId, said.leaving ?? null),
        currentClosure: said.runs ?? null,
      },
    });
  }

  /** The agent's long-poll. */
  handOut(name: HostName): void {
    const dispatch = this.fleet.openDispatch(name);
    invariant(dispatch !== null, `${name} has a dispatch to hand out`);
    const leaseUntil = instant(this.now + LEASE_SECS * 1000);
    this.commit({
      kind: "DispatchChanged",
      dispatch: { ...dispatch, state: "handed-out", changedAt: this.now, leaseUntil },
    });
  }

  /** An agent's event, in the stream of the host's present journal. False if it is not legal there. */
  event(record: HostRollout, event: OutboundAgentEvent): boolean {
    const { host: name, rolloutId: id } = record;
    const journalId = this.fleet.host(name)?.journalId ?? record.journalId;
    const seq = nextSeq(journalId === record.journalId ? record.lastSeq : 0);
    const envelope = { host: name, rolloutId: id, journalId, seq, prev: null, event };
    const { outcome, state } = transition(record, envelope);
    if (outcome.kind !== "moved" && outcome.kind !== "stayed") return false;
    this.fleet.apply({ kind: "RecordChanged", record: state });
    this.#answered(state, event);
    if (event.kind === "RollbackComplete" || event.kind === "RollbackFailed")
      this.fleet.apply({
        kind: "QuarantineInserted",
        channel: state.channel,
        closure: state.targetClosure,
        since: this.now,
      });
    if (outcome.kind === "moved") this.fold(hostStateChanged(this.fleet, record, state, this.now));
    this.commit({ kind: "HostHeard", host: name, journalId, at: this.now, report: null });
    return true;
  }

  #answered(record: HostRollout, event: OutboundAgentEvent): void {
    if (event.kind !== "DispatchAck" && event.kind !== "DispatchReject") return;
    const { host: name, rolloutId: id } = record;
    const before = this.fleet.dispatch(id, name);
    if (before !== null)
      this.fleet.apply({
        kind: "DispatchChanged",
        dispatch: answeredDispatch(before, event, this.now),
      });
    if (event.kind === "DispatchReject") return;
    const marks = ackMarks(this.fleet.marks(id, name), event.attempt);
    this.fleet.apply({ kind: "MarksChanged", marks });
    for (const older of this.fleet.recordsOf(name)) {
      if (older.rolloutId === id || older.kind === "Pending" || isSettled(older)) continue;
      this.fleet.apply({ kind: "RecordChanged", record: supersede(older, id) });
    }
  }

  #report(name: HostName, journalId: JournalId, leaving: Leaving | null): HostReport {
    const streams = this.fleet
      .recordsOf(name)
      .filter((record) => record.journalId === journalId && record.lastSeq > 0)
      .map(({ rolloutId: id, attempt, lastSeq }) => ({ rolloutId: id, attempt, lastSeq }));
    return {
      currentClosure: null,
      bootId: BOOT,
      agentVersion: "1.0.0",
      leaving,
      streams,
      clockSkewSecs: 0,
      diskFreeBytes: null,
      waitsFor: null,
    };
  }
}

export const idOf = (name: Channel, digit: string) => rolloutId(name, ref(digit));
