import {
  type Activating,
  addSecs,
  type Due,
  due,
  type Failed,
  type HostRollout,
  type Instant,
  instant,
  isSettled,
  type LocalEffect,
  nextSeq,
  type Observation,
  type OutboundAgentEvent,
  observe,
  openHostRollout,
  type Seen,
  type SharedEffect,
  type Soaking,
  SYSTEM_STABLE,
  stepLocal,
  supersede,
} from "@nixwave/effects";
import { checkEvent, checkRollback, checkSuperseded } from "./agentChecks.ts";
import { bootOf, currentOf, type Host, journalOf, type Offer, put, type Unit } from "./host.ts";
import { releaseOf, type Setting, STEP_SECS } from "./setting.ts";
import type { Watch } from "./watch.ts";

/** What the agent's functions are given beside the host. */
export interface Scene {
  readonly world: Setting;
  readonly watch: Watch;
}

const PROBE_INTERVAL_SECS = 10;

export const tick = (host: Host): Host => ({ ...host, now: addSecs(host.now, STEP_SECS) });
/** Two facts of one host are never of one instant. */
export const later = (host: Host): Host => ({ ...host, now: instant(host.now + 1) });

/** One event of the agent's own, and what follows from it. */
export function emit(
  before: Host,
  record: HostRollout,
  eventAt: (now: Instant) => OutboundAgentEvent,
  { watch, world }: Scene,
): Host {
  const host = later(before);
  const { rolloutId, journalId, lastSeq } = record;
  const event = eventAt(host.now);
  const seq = nextSeq(lastSeq);
  const envelope = { host: host.host, rolloutId, journalId, seq, prev: null, event };
  const { outcome, state, effects } = stepLocal(record, envelope, host.now);
  if (outcome.kind !== "moved" && outcome.kind !== "stayed") return host;
  watch.taken(record, envelope);
  checkEvent(host, record, state, watch);
  const isShown = state.kind === "Converged" && outcome.kind === "moved";
  const shown = (known: Host["knownGood"]) =>
    isShown
      ? [...known.filter((each) => each !== state.targetClosure), state.targetClosure]
      : known;
  const next: Host = {
    ...host,
    records: put(host.records, state),
    outbox: [...host.outbox, { envelope, after: state }],
    knownGood: shown(host.knownGood),
    proven:
      isShown && !host.proven.includes(state.targetClosure) ? shown(host.proven) : host.proven,
    work: outcome.kind === "moved" ? "none" : host.work,
    isProbing: host.isProbing && state.kind === "Soaking",
  };
  checkSuperseded(before, next, watch);
  return owe(next, effects, { watch, world });
}

function owe(host: Host, effects: readonly (LocalEffect | SharedEffect)[], { watch }: Scene): Host {
  return effects.reduce((at, effect): Host => {
    switch (effect.kind) {
      case "LocalFireSwitch":
        return { ...at, work: "switch" };
      case "LocalFireRollbackTo":
        checkRollback(at, effect.closure, watch);
        return { ...at, work: "rollback" };
      case "LocalResetProbeCache":
      case "LocalEmitEvent":
      case "RecordTransition":
      case "EmitMetric":
      case "EmitLog":
        return at;
    }
  }, host);
}

/** The dispatch is verified and taken: whatever was under way before is superseded in the same commit. */
export function acknowledge(host: Host, offer: Offer, scene: Scene): Host {
  const { world } = scene;
  const record = opened(host, offer, scene);
  const { running } = host.machine;
  const isFirst = host.knownGood.length === 0;
  const isGood = isFirst || host.knownGood.includes(running) || world.bug === "unproven-rollback";
  const target = isGood ? running : (host.knownGood.at(-1) ?? null);
  const older = currentOf(host);
  const isNext = older !== null && older.rolloutId !== record.rolloutId;
  const records = isNext ? put(host.records, supersede(older, record.rolloutId)) : host.records;
  const at: Host = {
    ...host,
    records,
    knownGood: isFirst ? [running] : host.knownGood,
    newestNth: Math.max(host.newestNth, offer.nth),
    offer: null,
  };
  return emit(
    at,
    record.kind === "Pending" ? { ...record, terms: termsOf(host, offer, world) } : record,
    (ackedAt) => ({
      kind: "DispatchAck",
      attempt: offer.attempt,
      dispatchedAt: offer.dispatchedAt,
      soakDueAt: offer.soakDueAt,
      previous: null,
      currentClosureAtDispatch: running,
      rollbackTarget: target === record.targetClosure ? null : target,
      ackedAt,
    }),
    scene,
  );
}

export function reject(host: Host, offer: Offer, retryable: boolean, scene: Scene): Host {
  return emit(
    { ...host, offer: null },
    opened(host, offer, scene),
    (rejectedAt) => ({
      kind: "DispatchReject",
      attempt: offer.attempt,
      dispatchedAt: offer.dispatchedAt,
      soakDueAt: offer.soakDueAt,
      code: retryable ? "held" : "not-as-signed",
      reason: retryable ? "held" : "the release says otherwise",
      retryable,
      rejectedAt,
    }),
    scene,
  );
}

function opened(host: Host, offer: Offer, { world }: Scene): HostRollout {
  const known = host.records.find(({ rolloutId }) => rolloutId === offer.rolloutId);
  const { channel } = releaseOf(world, offer.nth);
  return (
    known ??
    openHostRollout({ ...offer, host: host.host, channel, journalId: journalOf(host), terms: null })
  );
}

function termsOf({ host }: Host, { nth }: Offer, world: Setting) {
  const { hosts, policy, waves } = releaseOf(world, nth);
  const listed = hosts.find((each) => each.host === host);
  const wave = listed?.wave ?? 1;
  const { closureDigest = null } = listed ?? {};
  return { policy, wave, soakSecs: waves[wave - 1]?.soakSecs ?? 0, closureDigest };
}

/** The record that timers and observations are about. */
export function watched(host: Host, { world }: Scene): HostRollout | null {
  if (world.bug !== "superseded-timer") return currentOf(host);
  const ended = host.records.find(({ supersededBy }) => supersededBy !== null);
  return ended === undefined ? currentOf(host) : { ...ended, supersededBy: null };
}

/** Asks the machine, and does what it says. */
export function look(host: Host, scene: Scene): Host {
  const record = watched(host, scene);
  if (record === null) return host;
  const at = later(host);
  const { event, effects }: Observation = observe(record, seenOf(host, record), at.now);
  const owing = owe(at, effects, scene);
  return event === null ? owing : emit(owing, record, () => event, scene);
}

/** What time alone has made due, or null. */
export const dueOf = (host: Host, scene: Scene): Due | null => {
  const record = watched(host, scene);
  return record === null ? null : due(record, { startedAt: host.startedAt }, host.now);
};

function seenOf({ machine }: Host, record: HostRollout): Seen {
  const { unit } = machine;
  const own = unit !== null && isOwn(unit, record) ? unit : null;
  const strayRuns = unit?.end.kind === "running" && unit.purpose === "switch" && own === null;
  const switching = record.kind === "Failed" && strayRuns;
  return {
    bootId: bootOf(machine),
    runningClosure: machine.running,
    profileClosure: machine.profile,
    bootClosure: machine.boot,
    unit: switching ? { kind: "running" } : (own?.end ?? { kind: "none" }),
    purpose: record.kind === "Failed" && !switching ? "rollback" : "switch",
    stderrTail: "",
  };
}

/** The unit of this record's present try. */
export function isOwn(unit: Unit, record: HostRollout): boolean {
  if (unit.rolloutId !== record.rolloutId || unit.attempt !== record.attempt) return false;
  if (unit.journalId !== record.journalId) return false;
  if (record.kind === "Activating")
    return unit.purpose === "switch" && unit.tryNo === record.starts;
  return (
    record.kind === "Failed" && unit.purpose === "rollback" && unit.tryNo === record.rollbackTries
  );
}

export const declare = (host: Host, record: Soaking, scene: Scene): Host =>
  emit(
    { ...host, isProbing: true },
    record,
    (declaredAt) => ({
      kind: "ProbeTopologyDeclared",
      probes: [
        {
          probeName: SYSTEM_STABLE,
          kind: "system-stable",
          mode: "enforce",
          intervalSecs: PROBE_INTERVAL_SECS,
        },
      ],
      bootId: bootOf(host.machine),
      declaredAt,
    }),
    scene,
  );

/** A run of the probe that is worth telling: the first, a change, or the same again after a while. */
export function probe(host: Host, record: Soaking, status: "pass" | "fail", scene: Scene): Host {
  const before = record.probes[SYSTEM_STABLE];
  const of = { probeName: SYSTEM_STABLE, mode: "enforce" } as const;
  const first = (observedAt: Instant) =>
    ({ kind: "ProbeObservedFirst", ...of, observedAt }) as const;
  const result = (observedAt: Instant) =>
    ({
      kind: "ProbeResult",
      ...of,
      status,
      observedAt,
      failureReason: status === "fail" ? "it fails" : null,
      subResults: null,
    }) as const;
  const failure = (firstFailedAt: Instant) =>
    ({ kind: "ProbeFailureFirst", ...of, firstFailedAt }) as const;
  const events = [
    ...(before === undefined ? [first] : []),
    result,
    ...(status === "fail" && before?.everFailed !== true ? [failure] : []),
  ];
  return events.reduce((at, event) => {
    const soaking = currentOf(at);
    return soaking === null ? at : emit(at, soaking, event, scene);
  }, host);
}

export const isUnderWay = (record: HostRollout | null): record is Activating | Failed =>
  record !== null &&
  !isSettled(record) &&
  ((record.kind === "Activating" && record.startedAt !== null) ||
    (record.kind === "Failed" && record.rollback === "owed" && record.rollbackStartedAt !== null));
