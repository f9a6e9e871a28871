import {
  type Dispatch,
  FleetState,
  type Freeze,
  type HostMarks,
  type HostName,
  type HostReport,
  type HostRollout,
  type Instant,
  instant,
  type JournalId,
  type Quarantine,
  type Release,
  type Rollout,
} from "@nixwave/effects";
import { bootId, hostName, START } from "../build.ts";
import type { Facts } from "./facts.ts";
import {
  channelsOf,
  DEADLINE_SECS,
  hostsOf,
  releasedBy,
  releaseOf,
  type Setting,
  STEP_SECS,
} from "./setting.ts";

const secs = (from: Instant, by: number): Instant => instant(from + by * 1000);

/** The one instant at which a state of the CP is kept; what it knows of is a moment ago, a step ago, or long ago. */
export const NOW: Instant = START;
const STEP_AGO: Instant = secs(NOW, -STEP_SECS);
const LONG_AGO: Instant = secs(NOW, -2 * STEP_SECS);
const LEASE_SECS = 120;
/** Dispatches of one attempt: the first, and those after it. Constant over re-delivery, and in the host's record. */
const DISPATCHED: Instant = secs(NOW, -900_000);

interface Sight {
  readonly host: HostName;
  readonly journalId: JournalId | null;
  readonly heardAt: Instant | null;
  readonly report: HostReport | null;
  readonly reportAt: Instant | null;
}

/** All that the CP has stored, and what it remembers of its hosts. Hosts' own instants are left out: they decide nothing here. */
export interface Rows {
  readonly released: number;
  readonly readyAt: Instant;
  readonly rollouts: readonly Rollout[];
  readonly records: readonly HostRollout[];
  readonly marks: readonly HostMarks[];
  readonly dispatches: readonly Dispatch[];
  readonly quarantines: readonly Quarantine[];
  readonly freezes: readonly Freeze[];
  readonly sights: readonly Sight[];
}

export const noRows = (world: Setting): Rows => ({
  released: 0,
  readyAt: STEP_AGO,
  rollouts: [],
  records: [],
  marks: [],
  dispatches: [],
  quarantines: [],
  freezes: [],
  sights: hostsOf(world).map((host) => ({
    host,
    journalId: null,
    heardAt: null,
    report: null,
    reportAt: null,
  })),
});

/** What a CP finds when it starts; a planted bug leaves something out. */
export function load(rows: Rows, world: Setting): FleetState {
  const fleet = new FleetState(rows.readyAt);
  for (const nth of releasedBy(world, rows.released)) {
    const current = nth === rows.released - 1 || nth === world.releases;
    const release = releaseLoaded(world, nth);
    fleet.apply({ kind: "ReleaseVerified", release, current, at: STEP_AGO });
  }
  for (const rollout of rows.rollouts) fleet.apply({ kind: "RolloutChanged", rollout });
  for (const record of rows.records) fleet.apply({ kind: "RecordChanged", record });
  for (const marks of rows.marks) fleet.apply({ kind: "MarksChanged", marks });
  for (const dispatch of rows.dispatches) fleet.apply({ kind: "DispatchChanged", dispatch });
  for (const { host, journalId, heardAt, report, reportAt } of rows.sights) {
    if (journalId === null || heardAt === null) continue;
    if (reportAt !== null)
      fleet.apply({ kind: "HostHeard", host, journalId, at: reportAt, report });
    fleet.apply({ kind: "HostHeard", host, journalId, at: heardAt, report: null });
  }
  if (world.bug !== "quarantine-not-loaded")
    for (const one of rows.quarantines) fleet.apply({ kind: "QuarantineInserted", ...one });
  for (const freeze of rows.freezes) fleet.apply({ kind: "FreezeInserted", freeze });
  return fleet;
}

function releaseLoaded(world: Setting, nth: number): Release {
  const release = releaseOf(world, nth);
  const { bug } = world;
  if (bug === "budget-not-loaded") return { ...release, budgets: [] };
  if (bug === "host-edges-not-loaded") return { ...release, edges: [] };
  if (bug === "channel-edges-not-loaded") return { ...release, channelEdges: [] };
  if (bug !== "edge-to-nobody") return release;
  const edges = release.edges.map((edge) => ({ ...edge, gates: hostName("nobody") }));
  return { ...release, edges };
}

/** What is to be kept of it, at NOW again. */
export function store({ fleet, world, released }: Facts, before: Rows, now: Instant): Rows {
  const since = (at: Instant): Instant => (now - at < DEADLINE_SECS * 1000 ? NOW : STEP_AGO);
  const rollouts = channelsOf(world)
    .flatMap((channel) => fleet.rolloutsOf(channel))
    .map((rollout) => settledRollout(rollout, since));
  const hosts = before.sights.map(({ host }) => host);
  const pairs = rollouts.flatMap(({ rolloutId }) => hosts.map((host) => ({ rolloutId, host })));
  const sights = hosts.map((host) => sightOf(fleet, host, since));
  const dispatches = pairs.flatMap(({ rolloutId, host }): readonly Dispatch[] => {
    const dispatch = fleet.dispatch(rolloutId, host);
    return dispatch === null ? [] : [settledDispatch(fleet, before, dispatch, now)];
  });
  return {
    released,
    readyAt: since(fleet.readyAt),
    rollouts,
    records: pairs.flatMap(({ rolloutId, host }) => {
      const record = fleet.record(rolloutId, host);
      return record === null ? [] : [joinedAt(before, record)];
    }),
    marks: pairs.flatMap(({ rolloutId, host }) => marksOf(fleet.marks(rolloutId, host), fleet)),
    dispatches,
    quarantines: fleet.quarantines().map((one) => ({ ...one, since: NOW })),
    freezes: fleet.freezes().map((freeze) => ({ ...freeze, since: NOW })),
    sights: sights.map((sight) =>
      dispatches.some((each) => each.host === sight.host && mayBeHeld(each))
        ? sight
        : { ...sight, report: null, reportAt: null },
    ),
  };
}

/** A record that was just joined is of its dispatch's instant. */
function joinedAt(before: Rows, record: HostRollout): HostRollout {
  const { host, rolloutId, attempt } = record;
  const isOld = before.records.some((each) => each.host === host && each.rolloutId === rolloutId);
  if (isOld || record.kind !== "Pending") return record;
  const dispatchedAt = secs(DISPATCHED, attempt * 10);
  return { ...record, dispatchedAt, soakDueAt: secs(dispatchedAt, DEADLINE_SECS) };
}

function settledRollout(rollout: Rollout, since: (at: Instant) => Instant): Rollout {
  const { pause } = rollout;
  const base = {
    openedAt: since(rollout.openedAt),
    pause: pause === null ? null : { ...pause, since: NOW },
  };
  switch (rollout.kind) {
    case "Active":
      return { ...rollout, ...base };
    case "Completed":
      return { ...rollout, ...base, completedAt: NOW };
    case "Failed":
    case "Reverted":
      return { ...rollout, ...base, haltedAt: NOW };
    case "Superseded":
      return { ...rollout, ...base, supersededAt: NOW };
    case "Pruned":
      return { ...rollout, ...base, prunedAt: NOW };
  }
}

const mark = (at: Instant | null): Instant | null => (at === null ? null : NOW);

function marksOf(marks: HostMarks, fleet: FleetState): readonly HostMarks[] {
  const { rolloutId, host, retriedAt, attemptDue } = marks;
  const dispatch = fleet.dispatch(rolloutId, host);
  const opens = retriedAt !== null && dispatch !== null && retriedAt >= dispatch.changedAt;
  const kept: HostMarks = {
    rolloutId,
    host,
    skippedAt: mark(marks.skippedAt),
    lostAt: mark(marks.lostAt),
    forgottenAt: mark(marks.forgottenAt),
    forgivenAt: mark(marks.forgivenAt),
    attemptDue,
    // Only an open refusal is compared with it.
    retriedAt: retriedAt === null || dispatch?.state !== "rejected" ? null : opens ? NOW : LONG_AGO,
  };
  const isBlank = Object.values(kept).filter((value) => value !== null).length === 2;
  return isBlank ? [] : [kept];
}

const mayBeHeld = ({ leaseUntil }: Dispatch): boolean => leaseUntil !== null;

function settledDispatch(
  fleet: FleetState,
  before: Rows,
  dispatch: Dispatch,
  now: Instant,
): Dispatch {
  const { host, rolloutId, attempt, state } = dispatch;
  const known = before.dispatches.find(
    (each) => each.host === host && each.rolloutId === rolloutId && each.attempt === attempt,
  );
  // Queued anew for the attempt that an earlier one was withdrawn from.
  const isNew = known === undefined || dispatch.dispatchedAt !== known.dispatchedAt;
  const again = known !== undefined && isNew ? 1 : 0;
  const dispatchedAt = isNew ? secs(DISPATCHED, attempt * 10 + again) : known.dispatchedAt;
  const isAnswered = state === "acknowledged" || state === "rejected";
  const isPassed = now - dispatch.changedAt >= DEADLINE_SECS * 1000;
  return {
    ...dispatch,
    dispatchedAt,
    soakDueAt: secs(dispatchedAt, DEADLINE_SECS),
    changedAt: state === "rejected" && isPassed ? STEP_AGO : NOW,
    leaseUntil: isAnswered ? null : leaseOf(fleet, dispatch, now),
  };
}

/** Runs, is over, or is over and reported since without the attempt. */
function leaseOf(
  fleet: FleetState,
  { host, rolloutId, attempt, leaseUntil }: Dispatch,
  now: Instant,
) {
  if (leaseUntil === null) return null;
  if (now < leaseUntil) return secs(NOW, LEASE_SECS);
  const sight = fleet.host(host);
  const reported = sight !== null && sight.reportAt !== null && sight.reportAt > leaseUntil;
  const streams = sight?.report?.streams ?? [];
  const isShown = streams.some(
    (each) => each.rolloutId === rolloutId && each.attempt === attempt && each.lastSeq > 0,
  );
  return reported && !isShown ? LONG_AGO : STEP_AGO;
}

export const leaseFrom = (now: Instant): Instant => secs(now, LEASE_SECS);
export const soon = (now: Instant): Instant => secs(now, 1);
export const aStepLater = (now: Instant): Instant => secs(now, STEP_SECS);
export const aStepAgo = STEP_AGO;

function sightOf(fleet: FleetState, host: HostName, since: (at: Instant) => Instant): Sight {
  const sight = fleet.host(host);
  const { journalId = null, lastHeardAt = null, report = null, reportAt = null } = sight ?? {};
  return {
    host,
    journalId,
    heardAt: lastHeardAt === null ? null : since(lastHeardAt),
    report,
    reportAt: reportAt === null ? null : since(reportAt),
  };
}

export const reportOf = (streams: HostReport["streams"]): HostReport => ({
  currentClosure: null,
  bootId: bootId("boot"),
  agentVersion: "1.0.0",
  leaving: null,
  streams,
  clockSkewSecs: 0,
  diskFreeBytes: null,
  waitsFor: null,
});

/** A record as the CP's decisions see it: the host's own instants and numbers say nothing to them. */
export function withoutTimes(record: HostRollout): HostRollout {
  const { lastReject } = record;
  const base = {
    lastSeq: 0 as const,
    lastReject:
      lastReject === null
        ? null
        : { ...lastReject, rejectedAt: NOW, count: Math.min(lastReject.count, 2) },
  };
  switch (record.kind) {
    case "Pending":
      return { ...record, ...base };
    case "Activating":
      return { ...record, ...base, ackedAt: NOW, startedAt: mark(record.startedAt) };
    case "Deferred":
      return { ...record, ...base, ackedAt: NOW, deferredAt: NOW, bootId: bootId("boot") };
    case "Soaking":
      return { ...record, ...base, activationCompletedAt: NOW, topology: null, probes: {} };
    case "Converged":
      return { ...record, ...base, activationCompletedAt: NOW, convergedAt: NOW };
    case "Failed": {
      const { rollbackTries, rollbackStartedAt, rollbackRetryAt } = record;
      return {
        ...record,
        ...base,
        failedAt: NOW,
        failingProbes: [],
        rollbackTries: Math.min(rollbackTries, 1),
        rollbackStartedAt: mark(rollbackStartedAt),
        rollbackRetryAt: mark(rollbackRetryAt),
      };
    }
    case "Reverted":
      return { ...record, ...base, failedAt: NOW, revertedAt: NOW };
  }
}
