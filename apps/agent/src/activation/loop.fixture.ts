import {
  addSecs,
  type ClosureHash,
  FIRST_ATTEMPT,
  type HostRollout,
  type Instant,
  type OutboundAgentEvent,
  openHostRollout,
  type Policy,
} from "@nixwave/effects";
import {
  channelName,
  closureName,
  hostName,
  journal,
  rollout,
  START,
  terms,
} from "@nixwave/testkit";
import { decide } from "../decide/decide.ts";
import { type Decision, type Situation, type Step, step } from "../decide/decision.ts";
import type { Answer, Input, Mailbox } from "../input.ts";
import type { ActivationWorker, ProbeWorker } from "../perform/worker.ts";
import type { ReadRecord } from "../ports.ts";

/** The agent's loop with a variable for a journal: the real decisions, made one at a time, performed after they are kept. */
export interface TestLoop extends Mailbox {
  readonly events: readonly OutboundAgentEvent[];
  readonly record: HostRollout;
  readonly readRecord: ReadRecord;
  readonly inputs: readonly Input[];
  now: Instant;
  /** Whom effects are performed by; a crash and a restart put another one here. */
  activation: ActivationWorker;
  probes: ProbeWorker;
  /** Acknowledges a dispatch for the target, and performs what that means. */
  acknowledge(
    target: ClosureHash,
    rollbackTarget: ClosureHash | null,
    over?: Partial<Policy>,
  ): void;
  /** Replaces the record, as another input would. */
  put(record: HostRollout): void;
  /** What `due` says now is done, as the timer would. */
  tick(): void;
  /** What happened so far, for people. */
  story(): readonly string[];
}

export function testLoop(): TestLoop {
  const events: OutboundAgentEvent[] = [];
  const inputs: Input[] = [];
  let record: HostRollout | null = null;
  let tail: Promise<unknown> = Promise.resolve();

  const take = (input: Input): Answer => {
    inputs.push(input);
    const decision = decide(input, situationOf(record, loop.now));
    keep(decision);
    return decision.answer;
  };
  const keep = ({ steps, asks }: Decision): void => {
    for (const made of steps) if (made.record !== null) record = made.record;
    for (const { before, record: after, effects } of steps) {
      if (before?.kind === "Activating" && after?.kind !== "Activating") loop.activation.cancel();
      if (before?.kind === "Soaking" && after?.kind !== "Soaking") loop.probes.stop();
      for (const effect of effects) {
        if (effect.kind === "LocalEmitEvent") events.push(effect.payload);
        if (effect.kind === "LocalFireSwitch") loop.activation.fireSwitch(effect.rolloutId);
        if (effect.kind === "LocalFireRollbackTo") loop.activation.fireRollback(effect.rolloutId);
        if (effect.kind === "LocalResetProbeCache") loop.probes.reset(effect.rolloutId);
      }
    }
    for (const ask of asks) {
      if (ask.kind === "Observe") loop.activation.observe(ask.rolloutId);
      if (ask.kind === "StopUnit") loop.activation.stopUnit(ask.rolloutId);
    }
  };
  const present = (): HostRollout => {
    if (record === null) throw new Error("nothing was acknowledged yet");
    return record;
  };

  const loop: TestLoop = {
    events,
    inputs,
    get record() {
      return present();
    },
    now: START,
    readRecord: (rolloutId) => (record?.rolloutId === rolloutId ? record : null),
    activation: NO_ACTIVATION,
    probes: NO_PROBES,
    submit: (input) => {
      const answer = tail.then(() => take(input));
      tail = answer.catch(() => {});
      return answer;
    },
    acknowledge: (target, rollbackTarget, over = {}) => {
      const made = acknowledgement({ target, rollbackTarget, over, now: loop.now });
      const answer: Answer = { outcome: { kind: "stayed" }, record: made.record };
      keep({ changes: [], steps: [made], asks: [], answer });
    },
    put: (next) => {
      record = next;
    },
    tick: () => {
      take({ kind: "TimerFired" });
    },
    story: () => events.map(line),
  };
  return loop;
}

const nobody = (): never => {
  throw new Error("this test has no such worker");
};
const NO_ACTIVATION: ActivationWorker = {
  fireSwitch: nobody,
  fireRollback: nobody,
  observe: nobody,
  stopUnit: nobody,
  waitsFor: () => null,
  cancel: () => {},
  close: nobody,
};
const NO_PROBES: ProbeWorker = { reset: () => {}, stop: () => {}, close: nobody };

const situationOf = (record: HostRollout | null, now: Instant): Situation => ({
  now,
  host: hostName("web-1"),
  channel: channelName("stable"),
  run: { startedAt: START },
  outboxFull: false,
  asked: "before",
  facts: {
    journalId: journal("1"),
    steadyNow: null,
    newestCreatedAt: null,
    knownGood: [],
    baseline: null,
    hold: null,
    metadataSignedAt: null,
    logHead: null,
    booted: true,
  },
  record,
  opaque: false,
  current: record,
  previous: null,
});

interface Acknowledged {
  readonly target: ClosureHash;
  readonly rollbackTarget: ClosureHash | null;
  readonly over: Partial<Policy>;
  readonly now: Instant;
}

function acknowledgement({ target, rollbackTarget, over, now }: Acknowledged): Step {
  const dispatch = {
    attempt: FIRST_ATTEMPT,
    dispatchedAt: START,
    soakDueAt: addSecs(START, 600),
  };
  const pending = openHostRollout({
    ...dispatch,
    rolloutId: rollout("stable@a1"),
    host: hostName("web-1"),
    channel: channelName("stable"),
    targetClosure: target,
    journalId: journal("1"),
    terms: terms(over),
  });
  const event: OutboundAgentEvent = {
    ...dispatch,
    kind: "DispatchAck",
    previous: null,
    currentClosureAtDispatch: rollbackTarget,
    rollbackTarget,
    ackedAt: now,
  };
  return step(pending, event, now);
}

function line(event: OutboundAgentEvent): string {
  const words: string[] = [event.kind];
  if ("switchMethod" in event) words.push(event.switchMethod);
  if ("observedCurrentClosure" in event) words.push(closureName(event.observedCurrentClosure));
  if ("revertedToClosure" in event) words.push(closureName(event.revertedToClosure));
  if ("component" in event) words.push(event.component);
  if ("phase" in event) words.push(event.phase);
  if ("exitCode" in event && !event.kind.startsWith("Rollback")) {
    words.push("exit", String(event.exitCode ?? "unknown"));
  }
  if ("untouched" in event && event.untouched) words.push("untouched");
  return words.join(" ");
}
