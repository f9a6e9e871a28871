import type { OutboundAgentEvent } from "./event.ts";
import type { HostState } from "./host/state.ts";
import type { Channel, ClosureHash, HostName, RolloutId } from "./ids.ts";
import type { Instant } from "./time.ts";

/** Realise the target, set the profile, fire `switch-to-configuration switch` in a detached unit. Repeatable. */
export interface LocalFireSwitch {
  readonly kind: "LocalFireSwitch";
  readonly rolloutId: RolloutId;
  readonly target: ClosureHash;
}

/** The same with exactly that closure, whatever the generations say (hazard 49). Repeatable. */
export interface LocalFireRollbackTo {
  readonly kind: "LocalFireRollbackTo";
  readonly rolloutId: RolloutId;
  readonly closure: ClosureHash;
}

/** Drop the results of the former closure, re-read the declared probes, start the runners anew; nothing if they already run. */
export interface LocalResetProbeCache {
  readonly kind: "LocalResetProbeCache";
  readonly rolloutId: RolloutId;
}

/**
 * Append to the outbox, in the transaction of the new state, whose `lastSeq` is the event's number. `durable` is about
 * power loss: true fsyncs at this commit, false may wait for the drainer; nothing is ever sent before it is fsynced.
 */
export interface LocalEmitEvent {
  readonly kind: "LocalEmitEvent";
  readonly rolloutId: RolloutId;
  readonly payload: OutboundAgentEvent;
  readonly durable: boolean;
}

/** Put a dispatch where the host's next long-poll finds it, and reserve its slot. */
export interface RemoteQueueDispatch {
  readonly kind: "RemoteQueueDispatch";
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly targetClosure: ClosureHash;
  readonly soakDueAt: Instant;
}

/** Refuse this closure on this channel from now on. */
export interface RemoteInsertQuarantine {
  readonly kind: "RemoteInsertQuarantine";
  readonly channel: Channel;
  readonly closure: ClosureHash;
}

/** Insert a fresh Pending record; inserting twice changes nothing. */
export interface RemoteOpenRolloutRecord {
  readonly kind: "RemoteOpenRolloutRecord";
  readonly rolloutId: RolloutId;
  readonly channel: Channel;
  readonly host: HostName;
}

/** Append the received line, verbatim, to the event log. First of the effects: for moved, stayed and refused alike. */
export interface RemoteAppendEventLog {
  readonly kind: "RemoteAppendEventLog";
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly payload: OutboundAgentEvent;
}

/** History behind the timeline. `at` is this side's clock; the event holds the host's own instants. */
export interface RecordTransition {
  readonly kind: "RecordTransition";
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly from: HostState;
  readonly to: HostState;
  readonly at: Instant;
}

/** Names are a closed union and label sets are bounded: never a host name in a label. */
export type MetricName =
  | "nixwave_host_transitions_total"
  | "nixwave_events_refused_total"
  | "nixwave_events_total";

export interface EmitMetric {
  readonly kind: "EmitMetric";
  readonly name: MetricName;
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

export interface EmitLog {
  readonly kind: "EmitLog";
  readonly level: LogLevel;
  readonly target: string;
  readonly message: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** Consumed by the agent only. */
export type LocalEffect =
  | LocalFireSwitch
  | LocalFireRollbackTo
  | LocalResetProbeCache
  | LocalEmitEvent;
/** Consumed by the CP only. */
export type RemoteEffect =
  | RemoteQueueDispatch
  | RemoteInsertQuarantine
  | RemoteOpenRolloutRecord
  | RemoteAppendEventLog;
/** Consumed on both sides. */
export type SharedEffect = RecordTransition | EmitMetric | EmitLog;

/** The eleven. There are no others: what happens to rollouts and fleet are inputs (rollout/input.ts). */
export type Effect = LocalEffect | RemoteEffect | SharedEffect;
export type EffectKind = Effect["kind"];

/**
 * The ordering contract. `commit`: applied inside the transaction that stores the new state; synchronous; cannot half-happen.
 * `perform`: done after the commit; idempotent, because a crash may repeat it; its outcome comes back as an event.
 */
export const EFFECT_PHASE = {
  LocalFireSwitch: "perform",
  LocalFireRollbackTo: "perform",
  LocalResetProbeCache: "perform",
  LocalEmitEvent: "commit",
  RemoteQueueDispatch: "commit",
  RemoteInsertQuarantine: "commit",
  RemoteOpenRolloutRecord: "commit",
  RemoteAppendEventLog: "commit",
  RecordTransition: "commit",
  EmitMetric: "perform",
  EmitLog: "perform",
} as const satisfies Record<EffectKind, "commit" | "perform">;

export type Phase = (typeof EFFECT_PHASE)[EffectKind];
/** The members of a union of effects that have one phase: `InPhase<LocalEffect, "commit">` is LocalEmitEvent. */
export type InPhase<U extends Effect, P extends Phase> = U extends {
  readonly kind: infer K extends EffectKind;
}
  ? (typeof EFFECT_PHASE)[K] extends P
    ? U
    : never
  : never;

/** Narrows by the declared phase, so that no loop branches on kinds. */
export const inPhase =
  <U extends Effect, P extends Phase>(phase: P) =>
  (effect: U): effect is InPhase<U, P> & U =>
    EFFECT_PHASE[effect.kind] === phase;
