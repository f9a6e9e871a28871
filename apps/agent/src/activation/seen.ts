import type { HostRollout, JournalId, Seen, UnitPurpose, UnitSeen } from "@nixwave/effects";
import type { ReadRecord } from "../ports.ts";
import type { Activation } from "./activation.ts";
import { stderrTail } from "./output.ts";
import { type UnitRef, unitOf } from "./unit.ts";

/** The unit that `observe` is to be told of, with its name if it was ever fired. */
interface OwnUnit {
  readonly ref: UnitRef | null;
  readonly purpose: UnitPurpose;
  readonly unit: UnitSeen;
}

/**
 * Reads the machine for one record. The unit is asked before the links: a switch that ends between the two is then still
 * `running`, and asked again, instead of ended with links from before its end.
 */
export async function readSeen(activation: Activation, record: HostRollout): Promise<Seen> {
  const { ref, purpose, unit } = await ownUnit(activation, record);
  const { running, profile, boot } = await activation.system();
  const hasEnded = unit.kind === "exited" || unit.kind === "killed";
  return {
    bootId: await activation.bootId(),
    runningClosure: running,
    profileClosure: profile,
    bootClosure: boot,
    unit,
    purpose,
    stderrTail: ref !== null && hasEnded ? stderrTail(await activation.output(ref)) : "",
  };
}

/** A switch or rollback unit of ours runs, of whatever journal: no dispatch may be acknowledged now. */
export async function isBusy(activation: Activation): Promise<boolean> {
  return (await activation.units()).some(({ running }) => running);
}

async function ownUnit(activation: Activation, record: HostRollout): Promise<OwnUnit> {
  const ref = unitOf(record);
  const unit: UnitSeen = ref === null ? { kind: "none" } : await activation.unit(ref);
  if (record.kind !== "Failed") return { ref, purpose: "switch", unit };
  // A rollback must know of a switch that still runs, whichever try or record it belongs to: it would undo the rollback.
  if (unit.kind !== "running" && (await isSwitching(activation))) {
    return { ref: null, purpose: "switch", unit: { kind: "running" } };
  }
  return { ref, purpose: "rollback", unit };
}

async function isSwitching(activation: Activation): Promise<boolean> {
  const found = await activation.units();
  return found.some(({ unit, running }) => running && unit.purpose === "switch");
}

/**
 * Every start is committed before its unit is fired. So a unit of this journal that its records can't know proves that
 * the journal was set back (a restored disk image), and must be begun anew.
 */
export async function hasStrayUnit(
  activation: Activation,
  journalId: JournalId,
  readRecord: ReadRecord,
): Promise<boolean> {
  const found = await activation.units();
  return found.some(({ unit }) => {
    if (unit.journalId !== journalId) return false;
    const record = readRecord(unit.rolloutId);
    return record === null || !canKnow(record, unit);
  });
}

function canKnow(record: HostRollout, unit: UnitRef): boolean {
  if (unit.attempt !== record.attempt) return unit.attempt < record.attempt;
  switch (record.kind) {
    case "Pending":
      return false;
    case "Activating":
      return unit.purpose === "switch" && unit.tryNo <= record.starts;
    case "Failed":
      return unit.purpose === "switch" || unit.tryNo <= record.rollbackTries;
    case "Deferred":
    case "Soaking":
    case "Converged":
      return unit.purpose === "switch";
    case "Reverted":
      return true;
  }
}
