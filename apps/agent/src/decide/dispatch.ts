import {
  type ClosureHash,
  type DispatchReject,
  type HostRollout,
  type Instant,
  openHostRollout,
  supersede,
} from "@nixwave/effects";
import { type DispatchOffer, formatInstant, type HostRelease } from "@nixwave/protocol";
import type { DispatchInput } from "../input.ts";
import type { Change } from "../journal/change.ts";
import { mayPass, type ReleaseRefusal } from "../releases.ts";
import { type Decision, decided, ignored, log, only, type Situation, step } from "./decision.ts";

/**
 * Attempts go up by one, with each lost journal and each retry of an operator's, so no host ever comes to this one. Whoever offers a
 * later one would leave none behind it for an honest control plane.
 */
const ATTEMPT_MAX = 1_000_000;

type Received = Extract<DispatchInput, { kind: "DispatchReceived" }>;
type VerifiedInput = Extract<DispatchInput, { kind: "ReleaseVerified" }>;
type Refused = Extract<DispatchInput, { kind: "ReleaseRefused" }>;

/** A dispatch came: what needs no verification is answered at once, the rest after it. */
export function dispatchReceived(input: Received, at: Situation): Decision {
  const { offer, leaseUntil } = input;
  if (at.opaque) return dropped(offer, at, "a newer version of the agent wrote its record");
  if (isAnswered(at.record, offer)) {
    // The CP has missed our answer: its number is learnt from the heartbeat, and the stream is sent again from there.
    return ignored(at.record, `attempt ${offer.attempt} was answered before`, {
      asks: [{ kind: "Heartbeat" }],
    });
  }
  if (offer.attempt > ATTEMPT_MAX) return dropped(offer, at, "no host comes to that attempt");
  if (at.now > leaseUntil) return dropped(offer, at, "its lease is over");
  if (offer.channel !== at.channel)
    return rejected(offer, at, {
      code: "wrong-channel",
      reason: `dispatch.channel is "${offer.channel}", and this host follows "${at.channel}" by its own configuration`,
    });
  const held = holdReason(at);
  if (held !== null) return rejected(offer, at, { code: "held", reason: held });
  return ignored(at.record, "to be verified", { asks: [{ kind: "Verify", offer, leaseUntil }] });
}

export function releaseRefused(input: Refused, at: Situation): Decision {
  const { offer, leaseUntil, refusal } = input;
  const stop = lateReason(offer, leaseUntil, at);
  if (stop !== null) return dropped(offer, at, stop);
  return rejected(offer, at, refusal);
}

/** The release is genuine. What it says decides, and nothing of the dispatch but which attempt it is (I1). */
export function releaseVerified(input: VerifiedInput, at: Situation): Decision {
  const { offer, leaseUntil, files } = input;
  const release = input.release.value;
  const stop = lateReason(offer, leaseUntil, at) ?? busyReason(input.busy, at);
  if (stop !== null) return dropped(offer, at, stop);
  const held = holdReason(at);
  if (held !== null) return rejected(offer, at, { code: "held", reason: held });
  const wrong = mismatch(offer, release, at);
  if (wrong !== null) return rejected(offer, at, { code: "not-as-signed", reason: wrong });
  const { newestCreatedAt } = at.facts;
  if (newestCreatedAt !== null && release.createdAt < newestCreatedAt)
    return dropped(
      offer,
      at,
      `a release of ${formatInstant(newestCreatedAt)} was acknowledged, and this one is older`,
    );
  const changes: readonly Change[] = [
    { kind: "ReleaseKept", rolloutId: release.rolloutId, files },
    { kind: "NewestAcknowledged", createdAt: release.createdAt },
  ];
  return acknowledged(offer, release, input.running, changes, at);
}

function acknowledged(
  offer: DispatchOffer,
  release: HostRelease,
  running: ClosureHash | null,
  changes: readonly Change[],
  at: Situation,
): Decision {
  // A dispatch that was rejected has opened the record with whatever it said: what is acted on is the release's, not a lie's (I1).
  const { channel, closure: targetClosure } = release;
  const opened = { ...(at.record ?? open(offer, at)), channel, targetClosure };
  // The terms are put into the record before the event is stepped: no later release changes them.
  const record: HostRollout =
    opened.kind === "Pending" ? { ...opened, terms: release.terms } : opened;
  const goods = at.facts.knownGood;
  // What ran before the first dispatch is known good: nobody but its owner put it there.
  const isFirst = goods.length === 0;
  const knownGood = isFirst ? running : (goods.at(-1) ?? null);
  const rollbackTo = running !== null && (isFirst || goods.includes(running)) ? running : knownGood;
  const ack = step(
    record,
    {
      kind: "DispatchAck",
      attempt: offer.attempt,
      dispatchedAt: offer.dispatchedAt,
      soakDueAt: offer.soakDueAt,
      previous: at.previous,
      currentClosureAtDispatch: running,
      rollbackTarget: rollbackTo === record.targetClosure ? null : rollbackTo,
      ackedAt: at.now,
    },
    at.now,
  );
  if (!ack.acknowledged) return decided([ack]);
  const older =
    at.current !== null && at.current.rolloutId !== record.rolloutId
      ? [superseding(at.current, record)]
      : [];
  const first: readonly Change[] =
    isFirst && running !== null ? [{ kind: "KnownGoodAdded", closure: running }] : [];
  return decided([...older, ack], { changes: [...changes, ...first] });
}

function superseding(older: HostRollout, by: HostRollout): ReturnType<typeof only> {
  const line = log("info", "superseded", [
    ["rollout", older.rolloutId],
    ["by", by.rolloutId],
  ]);
  return { ...only(supersede(older, by.rolloutId), line), before: older };
}

/** A reason names the field, so that the operator who reads it knows where to look. */
function mismatch(offer: DispatchOffer, release: HostRelease, at: Situation): string | null {
  const says = (field: string, sent: string, signed: string): string =>
    `dispatch.${field} is ${sent}, and the verified release says ${signed}`;
  if (offer.rolloutId !== release.rolloutId)
    return says("rolloutId", offer.rolloutId, release.rolloutId);
  if (offer.channel !== release.channel) return says("channel", offer.channel, release.channel);
  if (offer.ref !== release.ref) return says("ref", offer.ref, release.ref);
  if (release.host !== at.host) return says("host", at.host, release.host);
  if (offer.targetClosure !== release.closure)
    return says("targetClosure", offer.targetClosure, release.closure);
  return null;
}

/** Past Pending with this attempt, or already at a later one: there is nothing to say but what was said. */
function isAnswered(record: HostRollout | null, offer: DispatchOffer): boolean {
  if (record === null) return false;
  if (record.attempt > offer.attempt) return true;
  return record.kind !== "Pending" && record.attempt === offer.attempt;
}

function lateReason(offer: DispatchOffer, leaseUntil: Instant, at: Situation): string | null {
  if (at.opaque) return "a newer version of the agent wrote its record";
  if (isAnswered(at.record, offer)) return "it was answered meanwhile";
  return at.now > leaseUntil ? "its lease is over" : null;
}

/**
 * The journal knows of a start before any unit can be seen, and the two are not read at the same instant: so a record
 * that has started counts as busy too, until it is known how that ended.
 */
function busyReason(unitRuns: boolean, at: Situation): string | null {
  const { current } = at;
  const started =
    (current?.kind === "Activating" && current.startedAt !== null) ||
    (current?.kind === "Failed" &&
      current.rollback === "owed" &&
      current.rollbackStartedAt !== null);
  return unitRuns || started ? "a switch or a rollback is under way" : null;
}

function holdReason(at: Situation): string | null {
  const { hold } = at.facts;
  if (hold === null || hold.until <= at.now) return null;
  return `the host is held at its console until ${formatInstant(hold.until)}: ${hold.reason}`;
}

function open(offer: DispatchOffer, at: Situation): HostRollout {
  const { rolloutId, channel, targetClosure, attempt, dispatchedAt, soakDueAt } = offer;
  const { journalId } = at.facts;
  const { host } = at;
  return openHostRollout({
    rolloutId,
    host,
    channel,
    targetClosure,
    attempt,
    dispatchedAt,
    soakDueAt,
    journalId,
    terms: null,
  });
}

function rejected(offer: DispatchOffer, at: Situation, { code, reason }: ReleaseRefusal): Decision {
  const { attempt, dispatchedAt, soakDueAt } = offer;
  const event: DispatchReject = {
    kind: "DispatchReject",
    attempt,
    dispatchedAt,
    soakDueAt,
    code,
    reason,
    retryable: mayPass(code),
    rejectedAt: at.now,
  };
  const line = log("warn", "dispatch rejected", [
    ["rollout", offer.rolloutId],
    ["attempt", String(attempt)],
    ["code", code],
    ["reason", reason],
  ]);
  const made = step(at.record ?? open(offer, at), event, at.now);
  return decided([only(at.record, line), made]);
}

/** No event: the lease runs out, and the CP hands it out again if it still means it. */
function dropped(offer: DispatchOffer, at: Situation, reason: string): Decision {
  const line = log("info", "dispatch dropped", [
    ["rollout", offer.rolloutId],
    ["attempt", String(offer.attempt)],
    ["reason", reason],
  ]);
  return ignored(at.record, reason, { steps: [only(at.record, line)] });
}
