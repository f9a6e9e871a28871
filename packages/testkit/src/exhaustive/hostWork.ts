import {
  type Activating,
  type ClosureHash,
  type HostRollout,
  type Instant,
  type Soaking,
  SYSTEM_STABLE,
} from "@nixwave/effects";
import { emit, isOwn, later, look, type Scene } from "./agent.ts";
import { bootOf, currentOf, type Host, type Machine, type Unit } from "./host.ts";
import { DEADLINE_SECS } from "./setting.ts";

/** Worked out only when it is asked for, so that what it breaks is told of it alone. */
export type Labelled = readonly [label: string, next: () => Host];

export function started(
  host: Host,
  record: Activating,
  switchMethod: "switch" | "boot" | "none",
  scene: Scene,
): Host {
  const { machine } = host;
  const restored = record.starts === 0 ? { ...machine, boot: machine.running } : machine;
  const at = switchMethod === "none" ? host : { ...host, machine: restored };
  return emit(
    at,
    record,
    (startedAt) => ({ kind: "ActivationStarted", startedAt, switchMethod }),
    scene,
  );
}

/** Sets the profile and fires the unit of the start that was just committed. */
export function fire(host: Host): Host {
  const record = currentOf(host);
  if (record?.kind === "Activating")
    return withUnit(host, record, "switch", record.starts, record.targetClosure);
  if (record?.kind === "Failed" && record.rollbackTarget !== null)
    return withUnit(host, record, "rollback", record.rollbackTries, record.rollbackTarget);
  return host;
}

function withUnit(
  host: Host,
  { rolloutId, attempt, journalId }: HostRollout,
  purpose: Unit["purpose"],
  tryNo: number,
  closure: ClosureHash,
): Host {
  const end = { kind: "running" } as const;
  const unit: Unit = { rolloutId, journalId, attempt, purpose, tryNo, closure, end };
  return { ...host, work: "none", machine: { ...host.machine, profile: closure, unit } };
}

export function staged(host: Host, record: HostRollout | null, scene: Scene): Host {
  if (record?.kind !== "Activating") return host;
  const boot = record.targetClosure;
  const at: Host = { ...host, machine: { ...host.machine, boot, profile: boot } };
  return emit(
    at,
    record,
    (deferredAt) => ({
      kind: "ActivationDeferred",
      component: "kernel",
      bootId: bootOf(at.machine),
      deferredAt,
    }),
    scene,
  );
}

export const isAllOn = ({ running, profile, boot }: Machine, closure: ClosureHash): boolean =>
  running === closure && profile === closure && boot === closure;

export function ended(
  host: Host,
  unit: Unit,
  record: HostRollout | null,
  code: number | "killed",
  hasSwitched: boolean,
  scene: Scene,
): Host {
  const { machine } = host;
  const { closure } = unit;
  const switched = hasSwitched ? { ...machine, running: closure, boot: closure } : machine;
  const end =
    code === "killed" ? ({ kind: "killed" } as const) : ({ kind: "exited", code } as const);
  const at: Host = later({ ...host, machine: { ...switched, unit: { ...unit, end } } });
  return record !== null && isOwn(unit, record) ? look(at, scene) : at;
}

export const isStale = ({ now }: Host, at: Instant): boolean => now - at >= DEADLINE_SECS * 1000;

/** Time passes by itself where it is only waited for: a soak with fresh evidence, and the next try of a rollback. */
export function waitsForTime(host: Host, record: HostRollout | null): boolean {
  if (record === null || record.supersededBy !== null) return false;
  if (record.kind === "Failed")
    return (
      record.rollback === "failed" &&
      record.rollbackRetryAt !== null &&
      host.now < record.rollbackRetryAt
    );
  if (record.kind !== "Soaking" || !host.isProbing) return false;
  return hasFreshEvidence(host, record);
}

function hasFreshEvidence(host: Host, { probes: held }: Soaking): boolean {
  const evidence = held[SYSTEM_STABLE];
  return evidence !== undefined && !isStale(host, evidence.observedAt);
}

/** What is in memory is gone; at the start each unsettled record is observed. */
export function restart(host: Host, scene: Scene): Host {
  const at = later({ ...host, offer: null, work: "none", isProbing: false });
  return look({ ...at, startedAt: at.now }, scene);
}

export function rebooted(host: Host, boot: ClosureHash, scene: Scene): Host {
  const { machine } = host;
  const unit =
    machine.unit === null ? null : { ...machine.unit, end: { kind: "unknown" } as const };
  const at = { running: boot, profile: machine.profile, boot, unit, bootNo: machine.bootNo + 1 };
  return restart({ ...host, machine: at }, scene);
}

/** The pin of the known-good closure outlives the journal. */
export function forgot(host: Host): Host {
  const at = later(host);
  return {
    ...at,
    journalNo: host.journalNo + 1,
    records: [],
    outbox: [],
    knownGood: host.knownGood.slice(-1),
    newestNth: -1,
    offer: null,
    work: "none",
    isProbing: false,
    startedAt: at.now,
  };
}
