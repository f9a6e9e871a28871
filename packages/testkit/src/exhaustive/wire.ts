import {
  type Envelope,
  type HostRollout,
  isSettled,
  type OutboundAgentEvent,
  stepRemote,
  supersede,
} from "@nixwave/effects";
import { checkOneUnsettled } from "./agentChecks.ts";
import type { Mirrored } from "./controlPlane.ts";
import { form } from "./form.ts";
import { type Host, put } from "./host.ts";
import { NOW, withoutTimes } from "./rows.ts";
import type { Watch } from "./watch.ts";

/** A batch was taken by the CP: the mirror after it, and what it means there. */
export interface Delivered {
  readonly mirror: readonly HostRollout[];
  readonly mirrored: readonly Mirrored[];
}

/** The whole outbox, in order. The mirror has to be the author's record at each of its events (I4). */
export function deliver(host: Host, watch: Watch): Delivered {
  checkGap(host, watch);
  const delivered = fold(
    host,
    host.outbox.map(({ envelope }) => envelope),
    watch,
  );
  for (const [at, { envelope, after }] of host.outbox.entries()) {
    const mirror = delivered.steps[at];
    const last = mirror ?? host.mirror.find(({ rolloutId }) => rolloutId === envelope.rolloutId);
    watch.check(
      last !== undefined && (mirror === null || same(last, after)),
      "I4",
      () =>
        `${host.host}'s ${envelope.event.kind} makes ${shown(after)} there, and ${last === undefined ? "nothing" : shown(last)} in the mirror`,
    );
  }
  checkOneUnsettled({ ...host, mirror: delivered.mirror }, watch);
  return delivered;
}

/** Sent again, or late: nothing may come of it. */
export function deliverCopy(host: Host, copy: readonly Envelope[], watch: Watch): void {
  const { mirrored } = fold(host, copy, watch);
  watch.check(mirrored.length === 0, "I4", () => `a batch of ${host.host} is applied twice`);
}

interface Folding extends Delivered {
  /** The mirror after each envelope, or null where it was a duplicate. */
  readonly steps: readonly (HostRollout | null)[];
}

function fold(host: Host, envelopes: readonly Envelope[], watch: Watch): Folding {
  let mirror = host.mirror;
  const mirrored: Mirrored[] = [];
  const steps: (HostRollout | null)[] = [];
  for (const envelope of envelopes) {
    const before = mirror.find(({ rolloutId }) => rolloutId === envelope.rolloutId);
    if (before === undefined) continue;
    const { outcome, state, effects } = stepRemote(before, envelope, NOW);
    if (outcome.kind === "duplicate") {
      watch.check(state === before, "I6", () => "a duplicate changes the mirror");
      steps.push(null);
      continue;
    }
    steps.push(state);
    const { event } = envelope;
    const isTaken = outcome.kind === "moved" || outcome.kind === "stayed";
    const why = outcome.kind === "refused" ? ` as ${outcome.code}` : "";
    watch.check(
      isTaken,
      "I4",
      () =>
        `${host.host}'s ${event.kind} is ${outcome.kind}${why} by the mirror (${shown(before)})`,
    );
    if (!isTaken) continue;
    watch.taken(before, envelope);
    mirror = put(mirror, state);
    if (event.kind === "DispatchAck") mirror = mirror.map((older) => ended(older, state));
    mirrored.push({
      after: withoutTimes(state),
      answer: answerOf(event),
      isMoved: outcome.kind === "moved",
      isQuarantined: effects.some(({ kind }) => kind === "RemoteInsertQuarantine"),
    });
  }
  return { mirror, mirrored, steps };
}

const ended = (older: HostRollout, by: HostRollout): HostRollout =>
  older.rolloutId === by.rolloutId || older.kind === "Pending" || isSettled(older)
    ? older
    : supersede(older, by.rolloutId);

function answerOf(event: OutboundAgentEvent): Mirrored["answer"] {
  if (event.kind === "DispatchAck") return { ...event, ackedAt: NOW };
  return event.kind === "DispatchReject" ? { ...event, rejectedAt: NOW } : null;
}

/** A later event that overtakes an earlier one must leave the mirror as it is. */
function checkGap({ host, outbox, mirror }: Host, watch: Watch): void {
  const last = outbox.at(-1)?.envelope;
  const previous = outbox.at(-2)?.envelope;
  if (last === undefined || last.rolloutId !== previous?.rolloutId) return;
  if (last.journalId !== previous.journalId) return;
  const before = mirror.find(({ rolloutId }) => rolloutId === last.rolloutId);
  if (before === undefined) return;
  // The earlier one is there already, and only its receipt was lost.
  if (before.journalId === previous.journalId && before.lastSeq >= previous.seq) return;
  const { outcome, state } = stepRemote(before, last, NOW);
  const isHarmless = outcome.kind === "gap" || outcome.kind === "duplicate";
  watch.check(
    isHarmless && state === before,
    "I4",
    () => `${host}'s events are taken out of order`,
  );
}

/** An agent that has not verified a release yet has no terms of it. */
const same = (a: HostRollout, b: HostRollout): boolean =>
  JSON.stringify(a) === JSON.stringify(b) ||
  form(comparable(a), String) === form(comparable(b), String);
const comparable = (record: HostRollout): HostRollout =>
  record.kind === "Pending" ? { ...record, terms: null } : record;

const shown = (record: HostRollout): string =>
  `${record.kind} ${JSON.stringify({ attempt: record.attempt, lastSeq: record.lastSeq, dispatchedAt: record.dispatchedAt, lastReject: record.lastReject, supersededBy: record.supersededBy })}`;
