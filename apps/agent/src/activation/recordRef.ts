import type { HostRollout } from "@nixwave/effects";
import type { RecordRef } from "../input.ts";

/** What a worker is about, read from the journal: closures that match are not identity (hazard 15). */
export const recordRef = ({ rolloutId, journalId, attempt }: HostRollout): RecordRef => ({
  rolloutId,
  journalId,
  attempt,
});

export const sameRecord = (a: RecordRef, b: RecordRef): boolean =>
  a.rolloutId === b.rolloutId && a.journalId === b.journalId && a.attempt === b.attempt;
