import { healthGaps, healthyAt } from "../host/health.ts";
import type { HostRollout } from "../host/state.ts";
import type { Channel, HostName } from "../ids.ts";
import { earliest, type Instant } from "../time.ts";
import { CLEARS } from "./clears.ts";
import { skipReason } from "./decide.ts";
import { isOpen } from "./dispatch.ts";
import { hasDrifted, lastKnown, runningOn } from "./drift.ts";
import type { Answer, Explanation } from "./explanation.ts";
import type { FleetState } from "./fleet.ts";
import { type Blocked, firstBlock } from "./gates.ts";
import { Look } from "./look.ts";
import { type HostEntry, isPlanned, type Member, owed, type RolloutEntry } from "./member.ts";
import { compareNames } from "./releaseIndex.ts";
import type { Block } from "./waiting.ts";

type Since = Explanation["since"];
type Said = Pick<Explanation, "answer" | "since" | "earliest" | "clears">;

/** Total over hosts, any name at all. Asks the gates of the plan, afresh. */
export function explainHost(fleet: FleetState, host: HostName, now: Instant): Explanation {
  const look = new Look(fleet.index, fleet.index.counts, now);
  const entry = fleet.index.hosts.get(host) ?? null;
  const channel = entry === null ? null : ([...entry.listings].toSorted(compareNames)[0] ?? null);
  const newest =
    channel === null ? null : (look.index.channels.get(channel)?.rollouts.at(-1) ?? null);
  const member = newest?.members.get(host) ?? null;
  const of = {
    host,
    rolloutId: newest?.rolloutId ?? null,
    wave: member?.listed?.wave ?? null,
  };
  if (entry?.revoked === true) return { ...of, ...said({ kind: "revoked" }) };
  if (entry === null || channel === null) return { ...of, ...unlisted(entry, look) };
  if (member === null || newest === null || !isPlanned(newest) || member.listed === null)
    return { ...of, ...unopened(channel, newest, look) };
  return { ...of, ...answer(member, look) };
}

const said = (
  about: Answer,
  { since = null, earliest: at = null, clears = null }: Partial<Omit<Said, "answer">> = {},
): Said => ({ answer: about, since, earliest: at, clears });

const exactly = (at: Instant): Since => ({ at, atLeast: false });

function unlisted(entry: HostEntry | null, { index }: Look): Said {
  const isAnyReleased = [...index.channels.values()].some(({ current }) => current !== null);
  if (!isAnyReleased) return said({ kind: "no-release", channel: null });
  const lastHeardAt = entry?.lastHeardAt ?? null;
  return said({ kind: "unlisted", runningClosure: lastKnown(entry, index.readyAt), lastHeardAt });
}

/** Listed by a current release that is no rollout yet: for want of verification, or until the next plan. */
function unopened(channel: Channel, newest: RolloutEntry | null, { index }: Look): Said {
  const unverified = index.channels.get(channel)?.unverified ?? null;
  if (unverified === null || newest !== null) return said({ kind: "no-release", channel });
  const block: Block = { gate: "release-unverified", channel, ...unverified };
  const rest = { since: exactly(unverified.since), clears: CLEARS.refresh() };
  return said({ kind: "gate", block }, rest);
}

function answer(member: Member, look: Look): Said {
  const { record, marks, dispatch, host } = member;
  const { lastHeardAt } = host;
  if (marks.lostAt !== null && record !== null)
    return said(
      { kind: "lost", record, lastHeardAt },
      { since: exactly(marks.lostAt), clears: clearsFailure(member, look) },
    );
  if (marks.skippedAt !== null) return skipped(member, marks.skippedAt, look);
  if (dispatch !== null && isOpen(dispatch)) {
    const kind = dispatch.state === "queued" ? "queued" : "dispatched";
    return said({ kind, dispatch }, { since: exactly(dispatch.changedAt) });
  }
  if (owed(member) !== null) return waits(member, look);
  if (record === null) return said({ kind: "no-release", channel: member.rollout.channel });
  return ofRecord(member, record, look);
}

function skipped(member: Member, skippedAt: Instant, look: Look): Said {
  const { host, listed, rollout } = member;
  const reason = skipReason(member, look);
  const clears =
    reason === "quarantined" && listed !== null
      ? CLEARS.lift(rollout.channel, listed.closure)
      : null;
  return said(
    { kind: "skipped", reason, skippedAt, lastHeardAt: host.lastHeardAt },
    { since: exactly(skippedAt), clears },
  );
}

function waits(member: Member, look: Look): Said {
  const block = firstBlock(member, look);
  if (block === null) return said({ kind: "queued", dispatch: null });
  const isNeverSeen = block.block.gate === "offline" && member.host.lastHeardAt === null;
  const since = sinceOf(member, block, look);
  if (isNeverSeen) return said({ kind: "never-seen", channel: member.rollout.channel }, { since });
  return said(
    { kind: "gate", block: block.block },
    { since, earliest: earliestOf(block, look), clears: block.clears },
  );
}

/** The gate's own instant where it has one; else when a plan first found the host there. */
function sinceOf({ waiting, waitingSince }: Member, { block }: Blocked, { index }: Look): Since {
  const own = ownSince(block);
  if (own !== null) return exactly(own);
  if (waitingSince === null || waiting?.block.gate !== block.gate) return null;
  return { at: waitingSince, atLeast: waitingSince === index.firstPlanAt };
}

function ownSince(block: Block): Instant | null {
  switch (block.gate) {
    case "rollout-halted":
      return block.haltedAt;
    case "replay":
    case "release-unverified":
    case "duplicate-host":
      return block.since;
    case "paused":
      return block.pause.since;
    case "frozen":
      return block.freeze.since;
    case "refused":
      return block.rejectedAt;
    case "offline":
      return block.lastHeardAt;
    case "channel-conflict":
    case "quarantine":
    case "channel-edge":
    case "wave":
    case "host-edge":
    case "host-busy":
    case "budget":
      return null;
  }
}

/** For a full budget, when the first soak among its holders could end: an estimate, since hosts' clocks are their own. */
function earliestOf({ block, earliest: at }: Blocked, { index, counts }: Look): Instant | null {
  if (block.gate !== "budget") return at;
  const ends = [...counts.held(block.budget).keys()].flatMap((name) =>
    [...(index.hosts.get(name)?.members.values() ?? [])].flatMap(({ record }) => {
      const end = record?.kind === "Soaking" ? healthyAt(record) : null;
      return end === null ? [] : [end];
    }),
  );
  return earliest(ends);
}

/** Instants in a record are the host's own. */
function ofRecord(member: Member, record: HostRollout, look: Look): Said {
  switch (record.kind) {
    case "Pending":
      return said({ kind: "queued", dispatch: null });
    case "Activating":
      return said(
        { kind: "activating", record },
        { since: exactly(record.startedAt ?? record.ackedAt) },
      );
    case "Deferred":
      return said({ kind: "deferred", record }, { since: exactly(record.deferredAt) });
    case "Soaking": {
      const unproven = healthGaps(record, look.now).map(({ what, reason }) => ({ what, reason }));
      return said(
        { kind: "soaking", record, unproven },
        { since: exactly(record.activationCompletedAt), earliest: healthyAt(record) },
      );
    }
    case "Failed": {
      const kind = record.rollback === "none" ? "failed" : "rolling-back";
      return said(
        { kind, record },
        {
          since: exactly(record.failedAt),
          earliest: record.rollbackRetryAt,
          clears: clearsFailure(member, look),
        },
      );
    }
    case "Reverted":
      return said(
        { kind: "reverted", record },
        { since: exactly(record.revertedAt), clears: clearsFailure(member, look) },
      );
    case "Converged": {
      const { readyAt } = look.index;
      const runningClosure = runningOn(member.host, readyAt);
      const drifted = hasDrifted(member, readyAt);
      const clears = drifted ? CLEARS.retry(record.host) : null;
      return said(
        { kind: "done", record, drifted, runningClosure },
        { since: exactly(record.convergedAt), clears },
      );
    }
  }
}

/** A quarantine outlives the clearance, so it is lifted first; a failure that is tolerated is tried again alone. */
function clearsFailure(
  { rollout, record, listed, host, marks }: Member,
  look: Look,
): string | null {
  const of = rollout.rollout;
  const cause = of?.kind === "Failed" || of?.kind === "Reverted" ? of.cause : null;
  if (cause === "cancelled") return CLEARS.release();
  const closure = record?.targetClosure ?? listed?.closure ?? null;
  const isQuarantined = closure !== null && look.channelOf(rollout).quarantined.has(closure);
  const lift = isQuarantined ? [CLEARS.lift(rollout.channel, closure)] : [];
  const again = cause === "failures" ? CLEARS.clear(rollout) : CLEARS.retry(host.host);
  // The lift alone pays the attempt that a clearance owed.
  const isPaid = isQuarantined && cause === null && marks.forgivenAt !== null;
  return [...lift, ...(isPaid ? [] : [again])].join(" && ");
}
