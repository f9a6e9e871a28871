import {
  type Effect,
  type Handlers,
  type Instant,
  interpret,
  type OutboundAgentEvent,
} from "@nixwave/effects";
import { wallClock } from "../render/duration.ts";
import { shortClosure, shortRollout } from "../render/name.ts";
import { harmless } from "../render/style.ts";
import { EVENT_WORDS } from "./event.ts";

/** Whose clock the sentence is read by. */
export interface Listener {
  readonly now: Instant;
  readonly timeZone: string;
}

const pairs = (list: readonly (readonly [string, string])[]): string =>
  list.map(([name, value]) => ` ${name}=${harmless(value)}`).join("");

/** The third interpreter: it says each of the eleven instead of doing it, in one imperative English line. */
export const NARRATE: Handlers<Effect, Listener, string> = {
  LocalFireSwitch: (effect) =>
    `switch to ${shortClosure(effect.target)} for ${shortRollout(effect.rolloutId)}`,
  LocalFireRollbackTo: (effect) =>
    `roll back to ${shortClosure(effect.closure)}, undoing ${shortRollout(effect.rolloutId)}`,
  LocalResetProbeCache: (effect) =>
    `drop old probe results and start the probes anew for ${shortRollout(effect.rolloutId)}`,
  LocalEmitEvent: (effect) =>
    `put into the outbox${effect.durable ? ", fsynced at once" : ""}: ${eventWords(effect.payload)}`,
  RemoteQueueDispatch: (effect, { now, timeZone }) =>
    `queue a dispatch: ${effect.host} may move to ${shortClosure(effect.targetClosure)} of ${shortRollout(effect.rolloutId)}, soaked about ${wallClock(effect.soakDueAt, now, timeZone)}`,
  RemoteInsertQuarantine: (effect) =>
    `quarantine ${shortClosure(effect.closure)} on ${effect.channel}`,
  RemoteOpenRolloutRecord: (effect) =>
    `open the record of ${effect.host} in ${shortRollout(effect.rolloutId)}`,
  RemoteAppendEventLog: (effect) =>
    `append to the log: ${effect.host} ${eventWords(effect.payload)}`,
  RecordTransition: (effect) =>
    `note that ${effect.host} went from ${effect.from} to ${effect.to} in ${shortRollout(effect.rolloutId)}`,
  EmitMetric: (effect) => `count ${effect.value} in ${effect.name}${pairs(effect.labels)}`,
  EmitLog: (effect) =>
    `log ${effect.level} ${effect.target}: ${harmless(effect.message)}${pairs(effect.fields)}`,
};

export const narrate = (effect: Effect, listener: Listener): string =>
  interpret(NARRATE, effect, listener);

/** What a host reported, without its name: `runs 5kxq1…-web (exit 0); its soak begins`. */
const eventWords = (event: OutboundAgentEvent): string => interpret(EVENT_WORDS, event, null);
