import {
  type Envelope,
  type HostRollout,
  type Instant,
  type RolloutId,
  SYSTEM_STABLE,
} from "@nixwave/effects";
import { isOwn } from "./agent.ts";
import { bootOf, currentOf, type Host } from "./host.ts";
import { DEADLINE_SECS } from "./setting.ts";

const TRIES_MAX = 4;
const REFUSALS_MAX = 2;

/**
 * Hosts of one form behave alike from here on. An instant is what it has passed: nothing, one deadline, or the longer
 * silence of a probe. Of a number in a stream only its distance from the mirror's matters, of tries and refusals only
 * that there were many, of a boot only whether it is the present one. What is on the wire and in the mirror is decided by
 * nobody's clock, so instants there do not count.
 */
export function formOf(host: Host): string {
  const { mirror, outbox, copy, records, machine } = host;
  const bases = new Map(mirror.map(({ rolloutId, lastSeq }) => [rolloutId, lastSeq]));
  const distance = (id: RolloutId, seq: number) => Math.max(seq - (bases.get(id) ?? 0), -1);
  const view = [
    [host.host, host.isAlive, host.journalNo, host.newestNth, host.work, host.isProbing],
    [host.knownGood, host.proven, offerFace(host), machine.running, machine.profile, machine.boot],
    unitFace(host),
    records.map((record) => [
      faceOf(record, host),
      timesOf(record, host),
      distance(record.rolloutId, record.lastSeq),
    ]),
    mirror.map((record) => faceOf(record, host)),
    outbox.map(({ envelope }) => eventFace(envelope)),
    copy?.map(({ rolloutId, seq, journalId }) => [
      rolloutId,
      journalId,
      distance(rolloutId, seq),
    ]) ?? null,
  ];
  // Everything in it is a list of fixed order, so equal views are equal texts.
  return JSON.stringify(view);
}

function offerFace({ offer }: Host): unknown {
  return offer === null ? null : [offer.rolloutId, offer.attempt, offer.dispatchedAt];
}

/** What the event will make of the mirror; instants are nobody's there. */
function eventFace({ rolloutId, journalId, event }: Envelope): readonly unknown[] {
  const of = [rolloutId, journalId, event.kind];
  switch (event.kind) {
    case "DispatchAck":
      return [...of, event.attempt, event.dispatchedAt, event.rollbackTarget];
    case "DispatchReject":
      return [...of, event.attempt, event.dispatchedAt, event.retryable];
    case "ActivationFailed":
      return [...of, event.untouched];
    case "ProbeResult":
      return [...of, event.status];
    case "ActivationStarted":
    case "ActivationCompleted":
    case "ActivationDeferred":
    case "ProbeTopologyDeclared":
    case "ProbeObservedFirst":
    case "ProbeFailureFirst":
    case "Failed":
    case "RollbackStarted":
    case "RollbackComplete":
    case "RollbackFailed":
    case "Converged":
      return of;
  }
}

/** An ended unit that belongs to no present try says nothing any more. */
function unitFace(host: Host): unknown {
  const { unit } = host.machine;
  if (unit === null) return null;
  const record = currentOf(host);
  const { end, purpose, rolloutId, journalId, attempt, tryNo, closure } = unit;
  const says = end.kind === "running" || (record !== null && isOwn(unit, record));
  const code = end.kind === "exited" ? end.code : null;
  return says ? [purpose, rolloutId, journalId, attempt, tryNo, closure, end.kind, code] : null;
}

function faceOf(record: HostRollout, host: Host): readonly unknown[] {
  const { kind, rolloutId, attempt, journalId, supersededBy, lastReject, terms, dispatchedAt } =
    record;
  const refusals =
    lastReject === null
      ? null
      : [lastReject.attempt, lastReject.retryable, Math.min(lastReject.count, REFUSALS_MAX)];
  const rollbackTarget = "rollbackTarget" in record ? record.rollbackTarget : null;
  const known = [rolloutId, attempt, dispatchedAt, journalId, supersededBy, refusals];
  return [kind, known, terms === null, rollbackTarget, ownFace(record, host)];
}

function ownFace(record: HostRollout, { machine }: Host): unknown {
  switch (record.kind) {
    case "Activating":
      return record.starts;
    case "Deferred":
      return record.bootId === bootOf(machine);
    case "Soaking": {
      const { topology, probes } = record;
      const evidence = probes[SYSTEM_STABLE] ?? null;
      const shown = evidence === null ? null : [evidence.status, evidence.everFailed];
      return [topology === null ? null : topology.bootId === bootOf(machine), shown];
    }
    case "Failed":
      return [
        record.rollback,
        record.cause,
        record.rollbackStartedAt === null,
        Math.min(record.rollbackTries, TRIES_MAX),
      ];
    case "Pending":
    case "Converged":
    case "Reverted":
      return null;
  }
}

/** Which deadlines of the agent's record have passed. */
function timesOf(record: HostRollout, { now, startedAt }: Host): readonly unknown[] {
  const passed = (at: Instant | null | undefined): number | null =>
    at === null || at === undefined
      ? null
      : Math.min(2, Math.floor((now - at) / 1000 / DEADLINE_SECS));
  switch (record.kind) {
    case "Activating":
      return [passed(record.startedAt ?? record.ackedAt)];
    case "Soaking": {
      const { topology, probes, activationCompletedAt } = record;
      const evidence = probes[SYSTEM_STABLE];
      return [
        passed(activationCompletedAt),
        passed(topology?.declaredAt),
        topology !== null && topology.declaredAt >= startedAt,
        passed(evidence?.observedAt),
        evidence?.everFailed === true ? passed(evidence.statusSince) : null,
        passed(startedAt),
      ];
    }
    case "Failed":
      return [
        passed(record.rollbackStartedAt),
        record.rollbackRetryAt !== null && now >= record.rollbackRetryAt,
      ];
    case "Pending":
    case "Deferred":
    case "Converged":
    case "Reverted":
      return [];
  }
}
