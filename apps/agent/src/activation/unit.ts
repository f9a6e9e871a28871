import {
  type Attempt,
  type ClosureHash,
  type HostRollout,
  isAttempt,
  isChannel,
  isChannelRef,
  isJournalId,
  type JournalId,
  type RolloutId,
  rolloutId,
  type UnitPurpose,
} from "@nixwave/effects";

/**
 * One detached run of a closure's `switch-to-configuration`, never reused. `tryNo` is the record's `starts` for a switch
 * and its `rollbackTries` for a rollback. The journal is part of it: a fresh journal may be given the attempt number of a
 * lost one again, and must not take that one's outcome for its own (hazard 15).
 */
export interface UnitRef {
  readonly rolloutId: RolloutId;
  readonly journalId: JournalId;
  readonly attempt: Attempt;
  readonly purpose: UnitPurpose;
  readonly tryNo: number;
}

/** The name in systemd and on disk. `@` would make it an instance of a template, and is replaced. */
export const unitName = (unit: UnitRef): string =>
  `nixwave-${unit.purpose}-${unit.rolloutId.replace("@", ".")}-${unit.journalId}-${unit.attempt}-${unit.tryNo}`;

const UNIT_NAME =
  /^nixwave-(switch|rollback)-([a-z0-9_-]+)\.([0-9a-f]{40})-([0-9a-f]{32})-([0-9]+)-([0-9]+)$/;

/** Reads a unit's name back; null for names that are not ours. This is the codec of names, not a parser of ids. */
export function parseUnitName(name: string): UnitRef | null {
  const match = UNIT_NAME.exec(name);
  if (match === null) return null;
  const [, purpose = "", channel = "", ref = "", journalId = "", attemptText, tryText] = match;
  const attempt = Number(attemptText);
  const tryNo = Number(tryText);
  if (purpose !== "switch" && purpose !== "rollback") return null;
  if (!isChannel(channel) || !isChannelRef(ref) || !isJournalId(journalId)) return null;
  if (!isAttempt(attempt) || !Number.isSafeInteger(tryNo)) return null;
  return { rolloutId: rolloutId(channel, ref), journalId, attempt, purpose, tryNo };
}

/** The unit that a record's own switch or rollback runs in, or null before the first start of it. */
export function unitOf(record: HostRollout): UnitRef | null {
  const { rolloutId, journalId, attempt } = record;
  switch (record.kind) {
    case "Activating":
      return record.starts === 0
        ? null
        : { rolloutId, journalId, attempt, purpose: "switch", tryNo: record.starts };
    case "Failed":
      return record.rollbackTries === 0
        ? null
        : { rolloutId, journalId, attempt, purpose: "rollback", tryNo: record.rollbackTries };
    case "Pending":
    case "Deferred":
    case "Soaking":
    case "Converged":
    case "Reverted":
      return null;
  }
}

/** What the system's links name; null where there is no link, or it names no closure. */
export interface SystemClosures {
  readonly running: ClosureHash | null;
  readonly profile: ClosureHash | null;
  readonly boot: ClosureHash | null;
}
