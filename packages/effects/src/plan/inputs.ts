import type { Channel, ClosureHash, FreezeId, HostName, RolloutId } from "../ids.ts";
import { err, ok, type Result } from "../result.ts";
import type {
  AttemptOwed,
  FreezeScope,
  Frozen,
  OperatorAdvanced,
  OperatorCancelled,
  OperatorCleared,
  OperatorPaused,
  OperatorResumed,
  OperatorRetried,
  QuarantineLifted,
  ReplayEnded,
  RetentionExpired,
  Unfrozen,
  Who,
} from "../rollout/input.ts";
import { type RolloutStepInput, stepRollout } from "../rollout/step.ts";
import type { Instant } from "../time.ts";
import { shortName } from "./clears.ts";
import { isOpen } from "./dispatch.ts";
import type { FleetState } from "./fleet.ts";
import { attemptAfter } from "./hostInputs.ts";
import { isPlanned, isUnfinished, type Member } from "./member.ts";
import { compareNames } from "./releaseIndex.ts";

/** An input, or the sentence that says why it can't be made and what to do instead. */
export type Made<I> = Result<I, string>;

/** Who, why, and until when: null is until someone ends it. */
export interface Until extends Who {
  readonly until: Instant | null;
}

export function operatorPaused(
  fleet: FleetState,
  rolloutId: RolloutId,
  who: Until,
  now: Instant,
): Made<OperatorPaused> {
  const past = pastUntil(who, now);
  if (past !== null) return err(past);
  return tried(fleet, { kind: "OperatorPaused", rolloutId, ...who, at: now });
}

export function operatorResumed(
  fleet: FleetState,
  rolloutId: RolloutId,
  who: Who,
  now: Instant,
): Made<OperatorResumed> {
  const rollout = fleet.rollout(rolloutId);
  if (rollout?.pause === null) return err(`${nameOf(fleet, rolloutId)} is not paused.`);
  return tried(fleet, { kind: "OperatorResumed", rolloutId, ...who, at: now });
}

/** Takes the open wave as complete, whatever its hosts have shown. */
export function operatorAdvanced(
  fleet: FleetState,
  { rolloutId, wave }: { readonly rolloutId: RolloutId; readonly wave: number },
  who: Who,
  now: Instant,
): Made<OperatorAdvanced> {
  const waves = fleet.release(rolloutId)?.waves.length ?? 0;
  if (!Number.isSafeInteger(wave) || wave < 1 || wave > waves)
    return err(`${nameOf(fleet, rolloutId)} has no wave ${wave}: its waves are 1 to ${waves}.`);
  return tried(fleet, { kind: "OperatorAdvanced", rolloutId, wave, ...who, at: now });
}

/** Forgives the failures so far; whoever failed and may run its closure gets one more attempt. */
export function operatorCleared(
  fleet: FleetState,
  rolloutId: RolloutId,
  who: Who,
  now: Instant,
): Made<OperatorCleared> {
  const entry = fleet.index.rollouts.get(rolloutId);
  const failing = entry === undefined ? [] : [...fleet.index.counts.failingHosts(entry)];
  const forgiven = failing.toSorted(compareNames);
  const attempts = forgiven.flatMap((host) => owedTo(fleet, rolloutId, host));
  return tried(fleet, { kind: "OperatorCleared", rolloutId, forgiven, attempts, ...who, at: now });
}

function owedTo(fleet: FleetState, rolloutId: RolloutId, host: HostName): readonly AttemptOwed[] {
  const record = fleet.record(rolloutId, host);
  if (record?.kind !== "Failed" && record?.kind !== "Reverted") return [];
  if (fleet.quarantinedSince(record.channel, record.targetClosure) !== null) return [];
  const attempt = attemptAfter(fleet, { rolloutId, host }, record.attempt);
  return [{ rolloutId, host, attempt }];
}

export function operatorCancelled(
  fleet: FleetState,
  rolloutId: RolloutId,
  who: Who,
  now: Instant,
): Made<OperatorCancelled> {
  const rollout = fleet.rollout(rolloutId);
  if (rollout?.kind === "Failed" && rollout.cause === "cancelled")
    return err(`${nameOf(fleet, rolloutId)} is cancelled already: a new release ends it.`);
  return tried(fleet, { kind: "OperatorCancelled", rolloutId, ...who, at: now });
}

/** One more attempt for one host, in the rollout that its channel runs now. */
export function operatorRetried(
  fleet: FleetState,
  host: HostName,
  who: Who,
  now: Instant,
): Made<OperatorRetried> {
  const planned = [...(fleet.index.hosts.get(host)?.members.values() ?? [])].filter(
    ({ rollout, listed }) => isPlanned(rollout) && listed !== null,
  );
  const member = planned[0];
  if (member === undefined) return err(`${host} is in no rollout that could be retried.`);
  const why = whyNotRetried(member);
  const { rolloutId } = member.rollout;
  if (why !== null || member.record === null)
    return err(`${host} ${why ?? ""}: see \`nixwave why ${host}\`.`);
  const { record } = member;
  const attempt =
    record.kind === "Pending"
      ? (member.marks.attemptDue ?? record.attempt)
      : attemptAfter(fleet, { rolloutId, host }, record.attempt);
  return tried(fleet, { kind: "OperatorRetried", rolloutId, host, attempt, ...who, at: now });
}

function whyNotRetried({ record, dispatch, marks }: Member): string | null {
  if (record === null) return "has had no attempt yet that could be made again";
  if (dispatch !== null && isOpen(dispatch)) return "has a dispatch that it has not answered yet";
  const isUnderWay = record.kind === "Activating" || record.kind === "Soaking";
  if (isUnderWay && marks.lostAt === null && marks.forgottenAt === null)
    return `is ${record.kind}: its attempt ${record.attempt} is under way`;
  return null;
}

export function quarantineLifted(
  fleet: FleetState,
  { channel, closure }: { readonly channel: Channel; readonly closure: ClosureHash },
  who: Who,
  now: Instant,
): Made<QuarantineLifted> {
  if (fleet.quarantinedSince(channel, closure) === null)
    return err(`${closure} is not quarantined on ${channel}: see \`nixwave quarantine list\`.`);
  const entry = fleet.index.channels.get(channel)?.rollouts.at(-1);
  const hosts = entry?.release?.byClosure.get(closure) ?? [];
  const attempts = hosts.flatMap((host) => {
    const member = entry?.members.get(host);
    return member === undefined ? [] : forgivenAttempt(fleet, member);
  });
  return ok({ kind: "QuarantineLifted", channel, closure, attempts, ...who, at: now });
}

/** A host whose failure was cleared while its closure was quarantined gets now the attempt that it could not get then. */
function forgivenAttempt(
  fleet: FleetState,
  { record, marks, host: { host } }: Member,
): readonly AttemptOwed[] {
  if (record?.kind !== "Failed" && record?.kind !== "Reverted") return [];
  if (marks.forgivenAt === null || marks.attemptDue !== null) return [];
  const { rolloutId } = record;
  const attempt = attemptAfter(fleet, { rolloutId, host }, record.attempt);
  return [{ rolloutId, host, attempt }];
}

/** A channel's newest rollouts are never pruned: the current one, and the one to compare it with (hazard 36). */
const KEPT_ROLLOUTS = 2;

/** Rollouts that ended before an instant and have nobody under way any more; who is lost is waited for no longer. */
export function retentionExpired(
  fleet: FleetState,
  on: Channel,
  endedBefore: Instant,
  now: Instant,
): readonly RetentionExpired[] {
  const old = fleet.index.channels.get(on)?.rollouts.slice(0, -KEPT_ROLLOUTS) ?? [];
  return old
    .filter(({ rollout, members }) => {
      const endedAt = rollout?.kind === "Superseded" ? rollout.supersededAt : null;
      const isOver = endedAt !== null && endedAt < endedBefore;
      const isUnderWay = (member: Member): boolean =>
        isUnfinished(member) && member.marks.lostAt === null && !member.host.revoked;
      return isOver && ![...members.values()].some(isUnderWay);
    })
    .map(({ rolloutId }) => ({ kind: "RetentionExpired", rolloutId, at: now }));
}

export function frozen(
  fleet: FleetState,
  { freezeId, scope }: { readonly freezeId: FreezeId; readonly scope: FreezeScope },
  who: Until,
  now: Instant,
): Made<Frozen> {
  const past = pastUntil(who, now);
  if (past !== null) return err(past);
  const unknown = unknownIn(fleet, scope);
  if (unknown !== null) return err(unknown);
  const { by, reason, until } = who;
  return ok({
    kind: "Frozen",
    freeze: { freezeId, scope, since: now, until, by, reason },
    at: now,
  });
}

function unknownIn(fleet: FleetState, scope: FreezeScope): string | null {
  switch (scope.kind) {
    case "all":
      return null;
    case "channel":
      return fleet.index.channels.has(scope.channel)
        ? null
        : `There is no channel ${scope.channel}: see \`nixwave status\`.`;
    case "hosts": {
      const unknown = scope.hosts.find((host) => fleet.host(host) === null);
      if (scope.hosts.length === 0) return "A freeze of hosts needs at least one host.";
      return unknown === undefined ? null : `There is no host ${unknown}: see \`nixwave hosts\`.`;
    }
  }
}

export function unfrozen(
  fleet: FleetState,
  freezeId: FreezeId,
  who: Who,
  now: Instant,
): Made<Unfrozen> {
  if (fleet.index.freezes.get(freezeId) === null)
    return err(`There is no freeze ${freezeId}: see \`nixwave status\`.`);
  return ok({ kind: "Unfrozen", freezeId, ...who, at: now });
}

/** The gate `replay` opens early. */
export function replayEnded(
  fleet: FleetState,
  channels: readonly Channel[],
  who: Who,
  now: Instant,
): Made<ReplayEnded> {
  const held = channels.filter((channel) => fleet.index.channels.get(channel)?.replay ?? null);
  if (held.length === 0) return err("No channel waits for a replay: there is nothing to resume.");
  return ok({ kind: "ReplayEnded", channels: held, ...who, at: now });
}

/** The table says whether it is possible, before it is in the log. */
function tried<I extends RolloutStepInput>(fleet: FleetState, input: I): Made<I> {
  const { outcome } = stepRollout(fleet.rollout(input.rolloutId), input, input.at);
  if (outcome.kind !== "refused") return ok(input);
  return err(`${outcome.why}.`.replaceAll(input.rolloutId, nameOf(fleet, input.rolloutId)));
}

function nameOf(fleet: FleetState, rolloutId: RolloutId): string {
  const rollout = fleet.rollout(rolloutId) ?? fleet.release(rolloutId);
  return rollout === null ? rolloutId : shortName(rollout.channel, rollout.ref);
}

const pastUntil = ({ until }: Until, now: Instant): string | null =>
  until !== null && until <= now ? "Its end lies in the past: choose a later `until`." : null;
