import {
  type Channel,
  type Fleet,
  type HostMarks,
  type HostName,
  type HostReport,
  type HostRollout,
  type Instant,
  isInFlight,
  isOpen,
  type Release,
  type Rollout,
} from "@nixwave/effects";

/**
 * What must hold, reckoned from records, marks and releases alone: nothing here asks the counts and indices that the plan
 * itself goes by, nor the predicates of health, since a mistake in them would be asked whether it is one. Each answers null,
 * or a sentence for people.
 */

/** I3: Converged without a pass, newer than the activation, of every declared enforce probe does not exist. */
export function unprovenConvergence(before: HostRollout | null, after: HostRollout): string | null {
  if (after.kind !== "Converged" || before?.kind === "Converged") return null;
  if (before?.kind !== "Soaking") return `Converged comes from ${before?.kind ?? "nothing"}`;
  if (after.convergedAt - before.activationCompletedAt < before.terms.soakSecs * 1000)
    return "Converged before the soak was over";
  if (after.currentClosure !== after.targetClosure) return "Converged on another closure";
  const { topology, probes, activationCompletedAt } = before;
  if (topology === null) return "Converged without a declared topology";
  const unproven = topology.probes.find(({ probeName, mode }) => {
    const evidence = probes[probeName];
    const isShown = evidence?.status === "pass" && evidence.observedAt > activationCompletedAt;
    return mode === "enforce" && !isShown;
  });
  return unproven === undefined ? null : `Converged without a pass of ${unproven.probeName}`;
}

/** I3, the other way round: no health failure that names a declared probe which does not count. */
export function wronglyFailed(before: HostRollout | null, after: HostRollout): string | null {
  if (after.kind !== "Failed" || before?.kind !== "Soaking") return null;
  const uncounted = (before.topology?.probes ?? []).find(
    ({ probeName, mode }) => mode !== "enforce" && after.failingProbes.includes(probeName),
  );
  return uncounted === undefined ? null : `Failed over ${uncounted.probeName}, which only observes`;
}

/** I12: what only goes forward. `before` is the same record a moment ago. */
export function backwards(before: HostRollout, after: HostRollout): string | null {
  if (after.attempt < before.attempt) return `attempt ${before.attempt} became ${after.attempt}`;
  if (after.journalId === before.journalId && after.lastSeq < before.lastSeq)
    return `seq ${before.lastSeq} became ${after.lastSeq}`;
  return null;
}

export const isFailing = (record: HostRollout | null, { lostAt, forgivenAt }: HostMarks): boolean =>
  forgivenAt === null &&
  (lostAt !== null || record?.kind === "Failed" || record?.kind === "Reverted");

/** I8: a wave opens only after the waves before it are complete, or taken as complete by an operator. */
export function openedTooSoon(fleet: Fleet, rollout: Rollout): string | null {
  const release = fleet.release(rollout.rolloutId);
  if (release === null) return null;
  const states = release.hosts.map(({ host, wave }) => ({
    wave,
    host,
    record: fleet.record(rollout.rolloutId, host),
    marks: fleet.marks(rollout.rolloutId, host),
  }));
  const { maxFailures, deferredCounts } = release.policy;
  const failures = states.filter(({ record, marks }) => isFailing(record, marks)).length;
  const isProven = (record: HostRollout | null): boolean =>
    record?.kind === "Converged" || (record?.kind === "Deferred" && deferredCounts === "done");
  const open = rollout.cursor - 1;
  if (open < 1 || rollout.advanced.includes(open)) return null;
  const wave = states.filter((state) => state.wave === open);
  const undone = wave.find(({ record, marks }) => {
    if (marks.skippedAt !== null || isProven(record)) return false;
    const isForgiven = marks.forgivenAt !== null && marks.attemptDue === null;
    const isOver =
      marks.lostAt !== null ||
      record?.kind === "Reverted" ||
      (record?.kind === "Failed" && record.rollback !== "owed");
    return !(isOver && (failures <= maxFailures || isForgiven));
  });
  if (undone !== undefined) {
    const state = `${undone.record?.kind ?? "undispatched"} with ${failures} of ${maxFailures} failures`;
    return `wave ${rollout.cursor} opened while ${undone.host} of wave ${open} is ${state}`;
  }
  return wave.some(({ record }) => isProven(record))
    ? null
    : `wave ${rollout.cursor} opened and no host of wave ${open} has shown health`;
}

/** I8: a rollout with more failures than its policy bears does not run. */
export function unhalted(fleet: Fleet, rollout: Rollout): string | null {
  const release = fleet.release(rollout.rolloutId);
  const isRunning = rollout.kind === "Active" || rollout.kind === "Completed";
  if (release === null || !isRunning) return null;
  const failing = release.hosts.filter(({ host }) =>
    isFailing(fleet.record(rollout.rolloutId, host), fleet.marks(rollout.rolloutId, host)),
  );
  const { maxFailures } = release.policy;
  if (failing.length <= maxFailures) return null;
  return `${rollout.rolloutId} is ${rollout.kind} with ${failing.length} failures of ${maxFailures}: ${failing.map(({ host }) => host).join(", ")}`;
}

/**
 * I7 and I8: nothing that could be handed out now is quarantined, or stands behind a gate that a commit has closed.
 * `quarantined`: "channel closure", as the rows have it, because a fleet that was loaded without them would not know.
 */
export function badlyOpen(
  fleet: Fleet,
  rollout: Rollout,
  { now, quarantined }: { readonly now: Instant; readonly quarantined: ReadonlySet<string> },
): string | null {
  for (const { host, targetClosure, state } of fleet.openDispatches(rollout.rolloutId)) {
    const what = `${host}'s dispatch is ${state}`;
    if (quarantined.has(`${rollout.channel} ${targetClosure}`))
      return `${what} and its closure is quarantined`;
    if (rollout.kind !== "Active" && rollout.kind !== "Completed")
      return `${what} and its rollout is ${rollout.kind}`;
    if (rollout.pause !== null && (rollout.pause.until === null || rollout.pause.until > now))
      return `${what} and its rollout is paused`;
    if (isFrozen(fleet, rollout, host, now)) return `${what} and it is frozen`;
    const wave = fleet.release(rollout.rolloutId)?.hosts.find((one) => one.host === host)?.wave;
    if (wave === undefined || wave > rollout.cursor)
      return `${what} and wave ${wave ?? "none"} is beyond the cursor ${rollout.cursor}`;
    const gating = gatingChannel(fleet, rollout);
    if (gating !== null) return `${what} and ${gating} has not completed its current release`;
  }
  return null;
}

/** I8: a dispatch that was just queued has no host before it in the signed order that has not shown its health. */
export function outOfOrder(fleet: Fleet, release: Release, host: HostName): string | null {
  const { edges, policy, rolloutId } = release;
  const early = edges.find(({ gates, gated }) => {
    if (gated !== host) return false;
    const record = fleet.record(rolloutId, gates);
    const isDone =
      record?.kind === "Converged" ||
      (record?.kind === "Deferred" && policy.deferredCounts === "done");
    return !isDone || fleet.marks(rolloutId, gates).forgottenAt !== null;
  });
  return early === undefined
    ? null
    : `${host} was dispatched to before ${early.gates}, which goes first, has shown its health`;
}

/** Since when a channel replays, by the control plane's clock, and what it had from each host when that began. */
export interface Replaying {
  readonly since: Instant;
  readonly before: ReadonlyMap<HostName, HostReport | null>;
}

/**
 * I7: a dispatch that was queued while its channel replays has every host of the release heard since the replay began, or silent past
 * its grace. That the gate is still stored then is no mistake: the commit after this one takes it away. A report that was not there
 * then has come since, whatever the clock says: it may have been set back in between.
 */
export function unreplayed(
  fleet: Fleet,
  { hosts, policy, channel }: Release,
  { since, before, now }: Replaying & { readonly now: Instant },
): string | null {
  const unheard = hosts.find(({ host }) => {
    const seen = fleet.host(host);
    if ((seen?.reportAt ?? 0) >= since) return false;
    if (seen !== null && seen.report !== (before.get(host) ?? null)) return false;
    const from = Math.max(seen?.lastHeardAt ?? 0, fleet.readyAt, since);
    return now < from + policy.offlineGraceSecs * 1000;
  });
  return unheard === undefined
    ? null
    : `${channel} goes on, and ${unheard.host} was not heard since its replay began`;
}

/** A channel that goes before this one and is not done with its current release, or null. */
export function gatingChannel(fleet: Fleet, { rolloutId, channel }: Rollout): Channel | null {
  const edges = fleet.release(rolloutId)?.channelEdges ?? [];
  const holding = edges.find(({ gates, gated }) => {
    const current = fleet.currentRelease(gates);
    if (gated !== channel || current === null) return false;
    return fleet.rollout(current.rolloutId)?.kind !== "Completed";
  });
  return holding?.gates ?? null;
}

const isFrozen = (fleet: Fleet, { channel }: Rollout, host: HostName, now: Instant): boolean =>
  fleet.freezes().some(({ scope, until }) => {
    if (until !== null && until <= now) return false;
    switch (scope.kind) {
      case "all":
        return true;
      case "channel":
        return scope.channel === channel;
      case "hosts":
        return scope.hosts.includes(host);
    }
  });

/**
 * I9: a dispatch that was just queued took no budget of its host over the limit. A host that held a slot already takes no
 * other. `later`: hosts that were dispatched to after it in the same commit, perhaps by a release with another limit.
 */
export function overBudget(
  fleet: Fleet,
  release: Release,
  { host, later }: { readonly host: HostName; readonly later: ReadonlySet<HostName> },
): string | null {
  const all = fleet.channels().flatMap((channel) => fleet.rolloutsOf(channel));
  for (const { name, hosts, maxInFlight } of release.budgets) {
    if (!hosts.includes(host)) continue;
    const others = new Set<HostName>();
    let held = false;
    for (const rollout of all) {
      const own = fleet.release(rollout.rolloutId)?.budgets.find((each) => each.name === name);
      if (rollout.rolloutId !== release.rolloutId && own?.hosts.includes(host) === true)
        held ||= mayHold(fleet, rollout, host);
      for (const each of own?.hosts ?? [])
        if (each !== host && !later.has(each) && holdsSlot(fleet, rollout, each)) others.add(each);
    }
    if (!held && others.size >= maxInFlight)
      return `${host} was dispatched to, and ${name} takes ${maxInFlight} and was held by ${[...others].join(", ")}`;
  }
  return null;
}

/** At most these: a dispatch that was withdrawn after it was handed out holds its slot for a while. */
function mayHold(fleet: Fleet, rollout: Rollout, host: HostName): boolean {
  const dispatch = fleet.dispatch(rollout.rolloutId, host);
  return holdsSlot(fleet, rollout, host) || (dispatch !== null && dispatch.leaseUntil !== null);
}

/** At least these. */
export function holdsSlot(fleet: Fleet, { rolloutId }: Rollout, host: HostName): boolean {
  const marks = fleet.marks(rolloutId, host);
  if (marks.lostAt !== null || marks.skippedAt !== null) return false;
  const dispatch = fleet.dispatch(rolloutId, host);
  if (dispatch !== null && isOpen(dispatch)) return true;
  const record = fleet.record(rolloutId, host);
  return record !== null && isInFlight(record) && marks.forgottenAt === null;
}
