import type { ActivationPhase, HostRollout, Soaking } from "@nixwave/effects";
import { dueOf, emit, probe, reject, type Scene, tick } from "./agent.ts";
import { currentOf, type Host, type Machine } from "./host.ts";
import {
  ended,
  forgot,
  isAllOn,
  type Labelled,
  rebooted,
  restart,
  started,
  waitsForTime,
} from "./hostWork.ts";

export function faults(host: Host, record: HostRollout | null, scene: Scene): readonly Labelled[] {
  const { machine, offer } = host;
  return [
    ["dies for good", () => ({ ...host, isAlive: false })],
    ["has its agent killed and started again", () => restart(host, scene)],
    ["reboots", () => rebooted(host, machine.boot, scene)],
    ["loses its journal", () => forgot(host)],
    ...(offer === null
      ? []
      : [
          ["rejects the dispatch for now", () => reject(host, offer, true, scene)] as const,
          ["rejects the dispatch for good", () => reject(host, offer, false, scene)] as const,
          ["loses the dispatch that it was just handed", () => ({ ...host, offer: null })] as const,
        ]),
    ...(record?.kind === "Deferred" && record.supersededBy === null
      ? [["reboots into what it ran before", () => rebooted(host, machine.running, scene)] as const]
      : []),
    ...brokenWork(host, record, scene),
    ...brokenUnit(host, record, scene),
    ...(record?.kind === "Soaking" && host.isProbing && record.supersededBy === null
      ? [
          ["has its probe fail", () => probe(host, record, "fail", scene)] as const,
          [
            "is switched back by hand",
            () => ({ ...host, machine: byHand(machine, record) }),
          ] as const,
        ]
      : []),
    ...(record !== null && !waitsForTime(host, record) && isTimed(host, record, scene)
      ? [["does nothing until its deadlines have passed", () => tick(host)] as const]
      : []),
  ];
}

const byHand = (machine: Machine, { rollbackTarget }: Soaking): Machine => ({
  ...machine,
  running: rollbackTarget ?? machine.running,
});

/** A timer that has fired is heard at once, so no clock goes on meanwhile. */
const isTimed = (host: Host, record: HostRollout, scene: Scene): boolean =>
  record.supersededBy === null &&
  dueOf(host, scene) === null &&
  (record.kind === "Activating" ||
    record.kind === "Soaking" ||
    (record.kind === "Failed" && record.rollback !== "none"));

/** The start is committed, and the agent dies before it has done more. */
function brokenWork(host: Host, record: HostRollout | null, scene: Scene): readonly Labelled[] {
  if (host.machine.unit?.end.kind === "running") return [];
  if (host.work === "switch" && record?.kind === "Activating") {
    const begun = () => started({ ...host, work: "none" }, record, "switch", scene);
    const set = (at: Host): Host => ({
      ...at,
      machine: { ...at.machine, profile: record.targetClosure },
    });
    const broke = (phase: ActivationPhase) => (): Host =>
      emit(
        { ...host, work: "none" },
        record,
        (failedAt) => ({
          kind: "ActivationFailed",
          phase,
          untouched: record.rollbackTarget !== null && isAllOn(host.machine, record.rollbackTarget),
          exitCode: null,
          stderrTail: "",
          failedAt,
        }),
        scene,
      );
    return [
      ["is killed right after it has committed the start", () => restart(begun(), scene)],
      ["is killed right after it has set the profile", () => restart(set(begun()), scene)],
      ["can't realise the closure", broke("realise")],
    ];
  }
  if (host.work !== "rollback" || record?.kind !== "Failed") return [];
  const begun = () =>
    emit(
      { ...host, work: "none" },
      record,
      (startedAt) => ({ kind: "RollbackStarted", startedAt }),
      scene,
    );
  const gone = (at: Host): Host => {
    const failed = currentOf(at);
    if (failed === null) return at;
    const what = { kind: "RollbackFailed", exitCode: null, stderrTail: "" } as const;
    return emit(at, failed, (failedAt) => ({ ...what, failedAt }), scene);
  };
  return [
    ["is killed right after it has committed the rollback's start", () => restart(begun(), scene)],
    ["finds the closure to roll back to gone", () => gone(begun())],
  ];
}

function brokenUnit(host: Host, record: HostRollout | null, scene: Scene): readonly Labelled[] {
  const { unit, boot } = host.machine;
  if (unit?.end.kind !== "running") return [];
  const end = (code: number | "killed", has: boolean) => (): Host =>
    ended(host, unit, record, code, has, scene);
  const general: readonly Labelled[] = [
    [`has its ${unit.purpose} unit end with 1 before it has switched`, end(1, false)],
    [`has its ${unit.purpose} unit end with 1 after it has switched`, end(1, true)],
    [`has its ${unit.purpose} unit killed`, end("killed", false)],
    ...(boot === unit.closure
      ? []
      : [
          [
            "reboots into what was just installed",
            () => rebooted(host, unit.closure, scene),
          ] as const,
        ]),
  ];
  if (unit.purpose === "rollback") return general;
  return [
    ...general,
    ["has its switch unit end with 4: some units failed", end(4, true)],
    ["has its switch unit end with 100: a reboot is needed", end(100, false)],
  ];
}
