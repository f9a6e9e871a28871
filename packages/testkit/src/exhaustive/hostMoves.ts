import {
  type Activating,
  type Failed,
  type HostRollout,
  type Instant,
  SYSTEM_STABLE,
} from "@nixwave/effects";
import {
  acknowledge,
  declare,
  dueOf,
  emit,
  isOwn,
  isUnderWay,
  look,
  probe,
  type Scene,
  tick,
  watched,
} from "./agent.ts";
import { bootOf, currentOf, type Host } from "./host.ts";
import { faults } from "./hostFaults.ts";
import {
  ended,
  fire,
  isAllOn,
  isStale,
  type Labelled,
  rebooted,
  staged,
  started,
  waitsForTime,
} from "./hostWork.ts";
import type { Spend } from "./setting.ts";

/** Something that can happen to one host alone. */
export interface HostMove {
  readonly label: string;
  readonly spends: Spend | null;
  readonly next: () => Host;
}

/** All that may happen next to a host by itself, faults among it. */
export function hostMoves(host: Host, scene: Scene): readonly HostMove[] {
  if (!host.isAlive) return [];
  const record = currentOf(host);
  const free: readonly Labelled[] = [
    ...answers(host, scene),
    ...worker(host, record, scene),
    ...unitEnds(host, record, scene),
    ...probes(host, record, scene),
    ...timer(host, scene),
    ...(waitsForTime(host, record) && dueOf(host, scene) === null ? [clock(host)] : []),
    ...(record?.kind === "Deferred" && record.supersededBy === null
      ? [["reboots into what is staged", () => rebooted(host, host.machine.boot, scene)] as const]
      : []),
  ];
  return [
    ...free.map(([label, next]): HostMove => ({ label, next, spends: null })),
    ...faults(host, record, scene).map(
      ([label, next]): HostMove => ({ label, next, spends: "faults" }),
    ),
  ];
}

const clock = (host: Host): Labelled => [
  "waits until what it waits for has passed",
  () => tick(host),
];

/** The agent's answer to the dispatch that it holds. */
function answers(host: Host, scene: Scene): readonly Labelled[] {
  const { offer } = host;
  if (offer === null) return [];
  const dropped: Host = { ...host, offer: null };
  const known = host.records.find(({ rolloutId }) => rolloutId === offer.rolloutId) ?? null;
  const isAnswered =
    known !== null &&
    (known.attempt > offer.attempt ||
      (known.kind !== "Pending" && known.attempt === offer.attempt));
  if (isAnswered) return [["has answered this dispatch before", () => dropped]];
  const isBusy = host.machine.unit?.end.kind === "running" || isUnderWay(currentOf(host));
  if (isBusy) return [["drops the dispatch: a switch is under way", () => dropped]];
  if (offer.nth < host.newestNth)
    return [["drops the dispatch: its release is older", () => dropped]];
  return [["acknowledges the dispatch", () => acknowledge(host, offer, scene)]];
}

/** The activation worker's next step. */
function worker(host: Host, record: HostRollout | null, scene: Scene): readonly Labelled[] {
  if (host.work === "switch" && record?.kind === "Activating")
    return switching(host, record, scene);
  if (host.work === "rollback" && record?.kind === "Failed")
    return rollingBack(host, record, scene);
  return [];
}

function switching(host: Host, record: Activating, scene: Scene): readonly Labelled[] {
  const { unit, running } = host.machine;
  const { targetClosure: target } = record;
  const own = unit !== null && isOwn(unit, record) ? unit : null;
  const idle: Host = { ...host, work: "none" };
  if (own?.end.kind === "exited" && own.end.code === 100 && running !== target)
    return [["stages the boot", () => staged(idle, record, scene)]];
  if (own?.end.kind === "running") return [["watches its unit", () => idle]];
  if (own?.end.kind === "exited" || own?.end.kind === "killed")
    return [["reads what its unit did", () => look(idle, scene)]];
  if (unit?.end.kind === "running") return [];
  if (isAllOn(host.machine, target))
    return [["has nothing to switch", () => look(started(idle, record, "none", scene), scene)]];
  if (scene.world.needsBoot) {
    const stage = (): Host => {
      const begun = started(idle, record, "boot", scene);
      return staged(begun, currentOf(begun), scene);
    };
    return [["stages the boot, since it can't switch live", stage]];
  }
  return [["fires the switch", () => fire(started(idle, record, "switch", scene))]];
}

function rollingBack(host: Host, record: Failed, scene: Scene): readonly Labelled[] {
  const { unit } = host.machine;
  const own = unit !== null && isOwn(unit, record) ? unit : null;
  const idle: Host = { ...host, work: "none" };
  if (own?.end.kind === "running") return [["watches its rollback", () => idle]];
  const isUnreported = record.rollback === "owed" && own !== null && own.end.kind !== "unknown";
  if (isUnreported) return [["reads what its rollback did", () => look(idle, scene)]];
  const isQuiet = unit?.end.kind !== "running";
  if (isQuiet && record.rollbackTarget !== null && isAllOn(host.machine, record.rollbackTarget))
    return [["has nothing to roll back", () => look(idle, scene)]];
  const begun = () =>
    emit(idle, record, (startedAt: Instant) => ({ kind: "RollbackStarted", startedAt }), scene);
  return [["fires the rollback", () => fire(begun())]];
}

/** The unit does its work; the watcher reads at once how it went. */
function unitEnds(host: Host, record: HostRollout | null, scene: Scene): readonly Labelled[] {
  const { unit } = host.machine;
  if (unit?.end.kind !== "running") return [];
  return [
    [`has its ${unit.purpose} unit end well`, () => ended(host, unit, record, 0, true, scene)],
  ];
}

function probes(host: Host, record: HostRollout | null, scene: Scene): readonly Labelled[] {
  if (record?.kind !== "Soaking" || record.supersededBy !== null) return [];
  if (!host.isProbing) return [["declares its probes", () => declare(host, record, scene)]];
  const { topology } = record;
  const evidence = record.probes[SYSTEM_STABLE];
  const isStable =
    host.machine.running === record.targetClosure && topology?.bootId === bootOf(host.machine);
  const status = isStable ? "pass" : "fail";
  if (evidence?.status === status && !isStale(host, evidence.observedAt)) return [];
  const label = isStable ? "has its probe pass" : "has its probe fail, rightly";
  return [[label, () => probe(host, record, status, scene)]];
}

function timer(host: Host, scene: Scene): readonly Labelled[] {
  const due = dueOf(host, scene);
  if (due === null) return [];
  const record = watched(host, scene);
  if (record === null) return [];
  switch (due.kind) {
    case "Report":
      return [["reports what time made of it", () => emit(host, record, () => due.event, scene)]];
    case "Observe":
      return [["looks, because it is time", () => look(host, scene)]];
    case "StopUnit": {
      const { unit } = host.machine;
      const runs = unit?.end.kind === "running" && isOwn(unit, record);
      if (!runs) return [["looks, because its deadline is over", () => look(host, scene)]];
      const stop = (has: boolean) => (): Host => ended(host, unit, record, "killed", has, scene);
      return [
        ["stops its unit before it has switched", stop(false)],
        ["stops its unit after it has switched", stop(true)],
      ];
    }
  }
}
