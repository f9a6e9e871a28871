import { type HostRollout, isInFlight, isSettled } from "../host/state.ts";
import type { Attempt, Channel, HostName, JournalId, RolloutId } from "../ids.ts";
import { FIRST_ATTEMPT } from "../ids.ts";
import type { ReleaseHost } from "../release.ts";
import type { HostMarks, Rollout } from "../rollout/state.ts";
import { addSecs, type Instant, later } from "../time.ts";
import type { HostReport } from "./change.ts";
import { type Dispatch, isOpen } from "./dispatch.ts";
import type { ReleaseIndex } from "./releaseIndex.ts";
import type { Place, WaitCounts } from "./waitCounts.ts";
import type { Waiting } from "./waiting.ts";

/** What the CP knows of a host beside its records. */
export interface HostSight {
  readonly host: HostName;
  readonly journalId: JournalId | null;
  readonly lastHeardAt: Instant | null;
  /** The last heartbeat, and when it came. */
  readonly report: HostReport | null;
  readonly reportAt: Instant | null;
  readonly revoked: boolean;
}

export interface JournalBegun {
  readonly journalId: JournalId;
  readonly since: Instant;
}

/** A host over all rollouts. Only FleetState writes to it. */
export interface HostEntry extends HostSight {
  journalId: JournalId | null;
  lastHeardAt: Instant | null;
  report: HostReport | null;
  reportAt: Instant | null;
  revoked: boolean;
  /** The newest few, oldest first. */
  journals: readonly JournalBegun[];
  readonly members: Map<RolloutId, Member>;
  /** The channels whose current release lists it. */
  readonly listings: Set<Channel>;
}

/** One rollout and what hangs on it. Only FleetState writes to it. */
export interface RolloutEntry {
  readonly rolloutId: RolloutId;
  readonly channel: Channel;
  readonly createdAt: Instant;
  rollout: Rollout | null;
  release: ReleaseIndex | null;
  /** Listed hosts once it is opened and planned, and every host with a record, marks or a dispatch. */
  readonly members: Map<HostName, Member>;
  /** Created last of the channel's opened rollouts: the one that is planned. */
  newest: boolean;
  readonly waits: WaitCounts;
}

/** How a host stands in its wave; see `standingOf`. */
export type Standing = "proven" | "skipped" | "forgiven" | "tolerated" | "open" | "untried";

/** What the indices last counted a member as, so that it can be taken out again. */
export interface Counted {
  readonly standing: Standing;
  readonly failing: boolean;
  readonly reverted: boolean;
  /** The budgets in which it takes a slot. */
  readonly slots: readonly string[];
  readonly wave: number | null;
}
export const UNCOUNTED: Counted = {
  standing: "open",
  failing: false,
  reverted: false,
  slots: [],
  wave: null,
};

/** One host of one rollout: the record and what lies beside it, and what the indices last counted it as. */
export interface Member {
  readonly host: HostEntry;
  readonly rollout: RolloutEntry;
  listed: ReleaseHost | null;
  /** Its place in (wave, name) order, past the last for a host that the release does not list. */
  order: number;
  record: HostRollout | null;
  marks: HostMarks;
  dispatch: Dispatch | null;
  counted: Counted;
  /** What the last plan that looked at it found; null if nothing held it. */
  waiting: Waiting | null;
  /** The same, as its rollout counts it. */
  waitsAt: Place | null;
  /** When a plan first found it at that gate. */
  waitingSince: Instant | null;
  /** Being heard may move it: it was blocked by silence. */
  wakesWhenHeard: boolean;
  /** When time alone may change its plan; a heap entry for another instant is stale. */
  timerAt: Instant | null;
}

// ---- The definitions of planning.md, each once. ----

/** Converged, or Deferred where the policy takes that as done. A forgotten journal proves nothing. */
export function isProven({ record, marks, rollout }: Member): boolean {
  if (record === null || marks.forgottenAt !== null) return false;
  if (record.kind === "Deferred") return rollout.release?.release.policy.deferredCounts === "done";
  return record.kind === "Converged";
}

/** Counts as a failure: Failed, Reverted or lost, once, less the forgiven. */
export function isFailing(member: Pick<Member, "record" | "marks">): boolean {
  return member.marks.forgivenAt === null && hasFailed(member);
}

/** One of these failures, and back on what it ran before. */
export const hasReverted = (member: Pick<Member, "record" | "marks">): boolean =>
  isFailing(member) && member.record?.kind === "Reverted" && member.marks.lostAt === null;

/** Failed, Reverted or lost, forgiven or not. */
const hasFailed = ({ record, marks }: Pick<Member, "record" | "marks">): boolean =>
  marks.lostAt !== null || record?.kind === "Failed" || record?.kind === "Reverted";

/**
 * Done is: proven, skipped, forgiven, and tolerated while the rollout's failures are within maxFailures. A failed host
 * with an attempt due, or that still owes its rollback, is open: something is to come.
 */
export function standingOf(member: Member): Standing {
  const { record, marks } = member;
  if (isProven(member)) return "proven";
  if (marks.skippedAt !== null) return "skipped";
  const isUntried = record === null && member.dispatch === null;
  if (!hasFailed(member) || marks.attemptDue !== null) return isUntried ? "untried" : "open";
  if (marks.lostAt === null && record?.kind === "Failed" && record.rollback === "owed")
    return "open";
  return marks.forgivenAt === null ? "tolerated" : "forgiven";
}

/**
 * A slot is a reservation (hazard 26): taken with the dispatch, held until it is answered and what it began is settled.
 * A cancelled dispatch that was handed out may still be acknowledged, so it holds until its lease is over and a later
 * heartbeat does not show the attempt.
 */
export function holdsSlot({ host, record, marks, dispatch }: Member): boolean {
  if (marks.lostAt !== null || marks.skippedAt !== null) return false;
  if ((dispatch !== null && isOpen(dispatch)) || mayStillBeAcked({ host, record, dispatch }))
    return true;
  return record !== null && marks.forgottenAt === null && isInFlight(record);
}

/** Withdrawn after it was handed out. */
export const mayHoldSlot = ({ state, leaseUntil }: Dispatch): boolean =>
  (state === "cancelled" || state === "superseded") && leaseUntil !== null;

/** Withdrawn, and the host has not shown since that it will leave it be. */
export function mayStillBeAcked({
  host,
  record,
  dispatch,
}: Pick<Member, "host" | "record" | "dispatch">): boolean {
  if (dispatch === null || dispatch.leaseUntil === null || !mayHoldSlot(dispatch)) return false;
  if (host.reportAt === null || host.reportAt <= dispatch.leaseUntil) return true;
  // A stream of which all is here says no more than its record: a refused attempt is shown for as long as its stream is kept.
  const isOfRecord = record !== null && record.journalId === host.journalId;
  const heardOf = isOfRecord && record.attempt === dispatch.attempt ? record.lastSeq : 0;
  return (host.report?.streams ?? []).some(
    ({ rolloutId, attempt, lastSeq }) =>
      rolloutId === dispatch.rolloutId && attempt === dispatch.attempt && lastSeq > heardOf,
  );
}

/** The host's system is being changed, or must not be changed now. */
export function isBusy({ record, marks }: Member): boolean {
  if (record === null || record.supersededBy !== null) return false;
  if (marks.forgottenAt !== null || marks.lostAt !== null) return false;
  return record.kind === "Activating" || (record.kind === "Failed" && record.rollback === "owed");
}

/** Silence runs from the largest of last heard, rollout opened, CP ready. */
export function silentSince({ host, rollout }: Member, readyAt: Instant): Instant {
  const from = later(host.lastHeardAt ?? readyAt, readyAt);
  return later(from, rollout.rollout?.openedAt ?? readyAt);
}

/**
 * From when on a silent host is dispatched to no more, or null if it was never heard. The rollout's age gives a host time until its wave
 * goes on without it, not the slot that a dispatch would hold meanwhile (hazard 34).
 */
export function unheardFrom({ host, rollout }: Member, readyAt: Instant): Instant | null {
  if (host.lastHeardAt === null) return null;
  const grace = rollout.release?.release.policy.offlineGraceSecs ?? 0;
  return addSecs(later(host.lastHeardAt, readyAt), grace);
}

/** Lost on its way in any rollout, and not heard since. */
export const isLost = ({ members }: HostEntry): boolean =>
  [...members.values()].some(({ marks }) => marks.lostAt !== null);

/** It said with its last word that it goes off or to sleep: away, not lost. */
export function isAway({ report, reportAt, lastHeardAt }: HostSight): boolean {
  const said = report?.leaving === "off" || report?.leaving === "sleep";
  return said && reportAt !== null && reportAt === lastHeardAt;
}

export interface Owed {
  readonly attempt: Attempt;
  /** Its first dispatch in this rollout. */
  readonly joins: boolean;
}

/** The dispatch that the newest rollout of its channel still owes a listed host, or null. */
export function owed(member: Member): Owed | null {
  const { rollout, listed, record, marks, dispatch } = member;
  if (!isPlanned(rollout) || listed === null) return null;
  if (dispatch !== null && isOpen(dispatch)) return null;
  if (record === null) return { attempt: marks.attemptDue ?? FIRST_ATTEMPT, joins: true };
  if (marks.attemptDue !== null && marks.attemptDue > record.attempt)
    return { attempt: marks.attemptDue, joins: false };
  return record.kind === "Pending" ? { attempt: record.attempt, joins: false } : null;
}

/** Newest of its channel and not over: gates may hold it, but it is looked at. */
export function isPlanned({ newest, rollout, release }: RolloutEntry): boolean {
  if (!newest || rollout === null || release === null) return false;
  return rollout.kind !== "Superseded" && rollout.kind !== "Pruned";
}

/** Past Pending, not settled and not forgotten: the host has something to finish in this rollout. */
export function isUnfinished({ record, marks }: Member): boolean {
  if (record === null || marks.forgottenAt !== null) return false;
  return record.kind !== "Pending" && !isSettled(record);
}

/** A listed host whose wave is at or before the cursor. */
export function isWaveOpen({ listed, rollout }: Member): boolean {
  return listed !== null && listed.wave <= (rollout.rollout?.cursor ?? 0);
}

/** Every record's plan-relevant face: two records with the same face give the same plan. */
export function sameFace(a: HostRollout | null, b: HostRollout | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.kind === b.kind &&
    a.attempt === b.attempt &&
    a.supersededBy === b.supersededBy &&
    a.journalId === b.journalId &&
    a.lastReject?.attempt === b.lastReject?.attempt &&
    a.lastReject?.count === b.lastReject?.count &&
    (a.kind !== "Failed" || b.kind !== "Failed" || a.rollback === b.rollback)
  );
}
