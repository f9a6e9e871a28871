import { pauseAt } from "../rollout/state.ts";
import { addSecs, earliest, type Instant, later } from "../time.ts";
import type { ChannelEntry } from "./channel.ts";
import { CLEARS } from "./clears.ts";
import { isOpen } from "./dispatch.ts";
import { duplicateUntil, JOURNALS_MAX } from "./hostChange.ts";
import type { Look } from "./look.ts";
import {
  isAway,
  isBusy,
  isLost,
  isProven,
  type Member,
  owed,
  type RolloutEntry,
  unheardFrom,
} from "./member.ts";
import { compareNames } from "./releaseIndex.ts";
import type { Block, GateName } from "./waiting.ts";

/** Why, the instant at which time alone may open it, and the command that would. */
export interface Blocked {
  readonly block: Block;
  readonly earliest: Instant | null;
  readonly clears: string | null;
}

/**
 * A reason to wait. `ofRollout` holds every host of a rollout alike and is asked once; `ofHost` is asked for each. Both fail
 * closed: what can't be read blocks with that reason. What may open the gate again is FleetState's duty (Agenda).
 */
export interface Gate {
  readonly name: GateName;
  readonly ofRollout: ((rollout: RolloutEntry, look: Look) => Blocked | null) | null;
  readonly ofHost: ((member: Member, look: Look) => Blocked | null) | null;
}

const blocked = (
  block: Block,
  { earliest: at = null, clears = null }: Partial<Omit<Blocked, "block">> = {},
): Blocked => ({ block, earliest: at, clears });

/** The ordered, open table: the first that blocks names the wait. A new gate is one entry here and one scenario. */
export const GATES = [
  { name: "rollout-halted", ofRollout: halted, ofHost: null },
  { name: "replay", ofRollout: replaying, ofHost: null },
  { name: "release-unverified", ofRollout: unverified, ofHost: null },
  { name: "paused", ofRollout: paused, ofHost: null },
  { name: "frozen", ofRollout: channelFrozen, ofHost: hostFrozen },
  { name: "channel-conflict", ofRollout: null, ofHost: conflicting },
  { name: "duplicate-host", ofRollout: null, ofHost: duplicate },
  { name: "quarantine", ofRollout: null, ofHost: quarantined },
  { name: "offline", ofRollout: null, ofHost: offline },
  { name: "refused", ofRollout: null, ofHost: refused },
  { name: "channel-edge", ofRollout: channelEdge, ofHost: null },
  { name: "wave", ofRollout: null, ofHost: waveClosed },
  { name: "host-edge", ofRollout: null, ofHost: hostEdge },
  { name: "host-busy", ofRollout: null, ofHost: busy },
  { name: "budget", ofRollout: null, ofHost: budgetFull },
] as const satisfies readonly Gate[];

/** The first gate that blocks this host, or null; and whether it holds its whole rollout. */
export function firstBlock(
  member: Member,
  look: Look,
): (Blocked & { readonly ofRollout: boolean }) | null {
  for (const gate of GATES) {
    const wide = look.ofRollout(gate, member.rollout);
    if (wide !== null) return { ...wide, ofRollout: true };
    const narrow = askHost(gate, member, look);
    if (narrow !== null) return { ...narrow, ofRollout: false };
  }
  return null;
}

const askHost = ({ ofHost }: Gate, member: Member, look: Look): Blocked | null =>
  ofHost === null ? null : ofHost(member, look);

/** When time alone may open one of the gates that hold the whole rollout. */
export const rolloutWakesAt = (rollout: RolloutEntry, look: Look): Instant | null =>
  earliest(
    GATES.flatMap((gate) => {
      const at = look.ofRollout(gate, rollout)?.earliest ?? null;
      return at === null ? [] : [at];
    }),
  );

/** Whether a gate holds all hosts of the rollout: then none of them needs to be looked at to know that it can't move. */
export const isRolloutBlocked = (rollout: RolloutEntry, look: Look): boolean =>
  rolloutBlock(rollout, look) !== null;

/** The first gate that holds the whole rollout, or null. */
export function rolloutBlock(rollout: RolloutEntry, look: Look): Blocked | null {
  for (const gate of GATES) {
    const answer = look.ofRollout(gate, rollout);
    if (answer !== null) return answer;
  }
  return null;
}

export const rankOf = (gate: GateName): number => GATES.findIndex(({ name }) => name === gate);

/** Whether a gate of single hosts is asked after the one and before the other, both of which hold whole rollouts. */
export const isHostAskedBetween = (first: GateName, second: GateName): boolean =>
  GATES.slice(rankOf(first), rankOf(second)).some(({ ofHost }) => ofHost !== null);

function halted(entry: RolloutEntry, look: Look): Blocked | null {
  const { rollout } = entry;
  if (rollout?.kind !== "Failed" && rollout?.kind !== "Reverted") return null;
  const { cause, haltedAt } = rollout;
  const clears = cause === "failures" ? CLEARS.clear(entry) : CLEARS.release();
  return blocked(
    { gate: "rollout-halted", cause, haltedAt, hosts: look.failing(entry) },
    { clears },
  );
}

/** Open once every listed host was heard and replayed, or has been silent past its grace. */
function replaying(entry: RolloutEntry, look: Look): Blocked | null {
  const { replay, unreplayed, channel } = look.channelOf(entry);
  if (replay === null) return null;
  const grace = entry.release?.release.policy.offlineGraceSecs ?? 0;
  for (const host of unreplayed) {
    const lastHeardAt = look.index.hosts.get(host)?.lastHeardAt ?? look.index.readyAt;
    const until = addSecs(later(later(lastHeardAt, look.index.readyAt), replay.since), grace);
    if (look.now >= until) continue;
    const block = {
      gate: "replay",
      channel,
      unheard: unreplayed.size,
      since: replay.since,
    } as const;
    return blocked(block, { earliest: until, clears: CLEARS.resumeAfterRestore() });
  }
  return null;
}

function unverified(entry: RolloutEntry, look: Look): Blocked | null {
  const channel = look.channelOf(entry);
  const missing = { reason: "its release is not at hand", since: look.index.readyAt };
  const why = channel.unverified ?? (entry.release === null ? missing : null);
  if (why === null) return null;
  const block = { gate: "release-unverified", channel: entry.channel, ...why } as const;
  return blocked(block, { clears: CLEARS.refresh() });
}

function paused(entry: RolloutEntry, look: Look): Blocked | null {
  const pause = entry.rollout === null ? null : pauseAt(entry.rollout, look.now);
  if (pause === null) return null;
  return blocked(
    { gate: "paused", pause },
    { earliest: pause.until, clears: CLEARS.resume(entry) },
  );
}

function channelFrozen(entry: RolloutEntry, look: Look): Blocked | null {
  const freeze = look.index.freezes.ofChannel(entry.channel, look.now);
  if (freeze === null) return null;
  const clears = CLEARS.unfreeze(freeze.freezeId);
  return blocked({ gate: "frozen", freeze }, { earliest: freeze.until, clears });
}

function hostFrozen({ host }: Member, look: Look): Blocked | null {
  const freeze = look.index.freezes.ofHost(host.host, look.now);
  if (freeze === null) return null;
  const clears = CLEARS.unfreeze(freeze.freezeId);
  return blocked({ gate: "frozen", freeze }, { earliest: freeze.until, clears });
}

function conflicting({ host }: Member): Blocked | null {
  if (host.listings.size <= 1) return null;
  const channels = [...host.listings].toSorted(compareNames);
  return blocked({ gate: "channel-conflict", channels }, { clears: CLEARS.release() });
}

function duplicate({ host }: Member, look: Look): Blocked | null {
  const until = duplicateUntil(host, look.now);
  const since = host.journals.at(-JOURNALS_MAX)?.since;
  if (until === null || since === undefined) return null;
  const journals = host.journals.length;
  return blocked({ gate: "duplicate-host", journals, since }, { earliest: until });
}

function quarantined({ rollout, listed }: Member, look: Look): Blocked | null {
  const { channel, quarantined: closures } = look.channelOf(rollout);
  if (listed === null || !closures.has(listed.closure)) return null;
  const block = { gate: "quarantine", channel, closure: listed.closure } as const;
  return blocked(block, { clears: CLEARS.lift(channel, listed.closure) });
}

/** Also a host that is lost or away, or was passed over and has not come back: a dispatch would only hold a slot. */
function offline(member: Member, look: Look): Blocked | null {
  const { host, marks } = member;
  const from = unheardFrom(member, look.index.readyAt);
  const isHeard = from !== null && look.now < from && marks.skippedAt === null;
  if (isHeard && !isAway(host) && !isLost(host)) return null;
  const { lastHeardAt, report } = host;
  return blocked({ gate: "offline", lastHeardAt, leaving: report?.leaving ?? null });
}

/** Minutes to wait after the n-th refusal in a row: 1, 2, 4 … 60. */
const REFUSED_MINUTES_MAX = 60;
const refusedMinutes = (count: number): number =>
  Math.min(REFUSED_MINUTES_MAX, 2 ** Math.min(count - 1, 6));

/** By the CP's clock alone, from when it heard the refusal; metadata that changed since, or an operator's retry, ends it. */
function refused(member: Member, look: Look): Blocked | null {
  const { dispatch, record, marks, rollout, host } = member;
  if (dispatch?.state !== "rejected") return null;
  const wanted = owed(member)?.attempt;
  if (wanted !== dispatch.attempt) return null;
  const heardAt = dispatch.changedAt;
  const { metadataAt } = look.channelOf(rollout);
  if (metadataAt !== null && metadataAt > heardAt) return null;
  if (marks.retriedAt !== null && marks.retriedAt >= heardAt) return null;
  const reject = record?.lastReject?.attempt === wanted ? record.lastReject : null;
  // Without a reject of this attempt it was the answer that was refused: asked again, the host would say the same.
  const { code, reason, retryable, count } = reject ?? {
    code: null,
    reason: "its answer was refused, and nixwave events says why",
    retryable: false,
    count: 1,
  };
  const until = retryable ? addSecs(heardAt, refusedMinutes(count) * 60) : null;
  if (until !== null && look.now >= until) return null;
  const block = {
    gate: "refused",
    attempt: wanted,
    code,
    reason,
    retryable,
    count,
    rejectedAt: heardAt,
  } as const;
  return blocked(block, { earliest: until, clears: retryable ? null : CLEARS.retry(host.host) });
}

/** Only the gating channel's rollout for its current ref opens the edge (hazards 21 and 22); unknown is not absent (hazard 33). */
function channelEdge({ channel, release }: RolloutEntry, look: Look): Blocked | null {
  for (const edge of release?.release.channelEdges ?? []) {
    if (edge.gated !== channel) continue;
    const state = gatingState(look.index.channels.get(edge.gates) ?? null);
    if (state === null) continue;
    const block = {
      gate: "channel-edge",
      channel: edge.gates,
      state,
      reason: edge.reason,
    } as const;
    return blocked(block, { clears: state === UNVERIFIED ? CLEARS.refresh() : null });
  }
  return null;
}

const UNVERIFIED = "unverified";

/** Null opens. */
function gatingState(gating: ChannelEntry | null): string | null {
  if (gating === null) return null;
  if (gating.unverified !== null) return UNVERIFIED;
  if (gating.current === null) return null;
  const kind = gating.current.rollout?.kind ?? null;
  if (kind === null) return "not opened";
  return kind === "Completed" ? null : kind;
}

/** A host in no wave is never let through (hazard 25). */
function waveClosed({ listed, rollout }: Member, look: Look): Blocked | null {
  const cursor = rollout.rollout?.cursor ?? 0;
  const wave = listed?.wave ?? Number.POSITIVE_INFINITY;
  if (wave <= cursor) return null;
  const { hosts, done, proven } = look.counts.wave(rollout, cursor);
  const unproven = hosts > 0 && done === hosts && proven === 0;
  const clears = unproven ? CLEARS.advance(rollout) : null;
  return blocked({ gate: "wave", wave, cursor, unproven }, { clears });
}

function hostEdge({ host, rollout }: Member): Blocked | null {
  for (const { gates, reason } of rollout.release?.edgesInto.get(host.host) ?? []) {
    const gating = rollout.members.get(gates);
    if (gating !== undefined && isProven(gating)) continue;
    const state = gating === undefined ? "unlisted" : stateWord(gating);
    return blocked({ gate: "host-edge", host: gates, state, reason });
  }
  return null;
}

function stateWord({ marks, record }: Member): string {
  if (marks.skippedAt !== null) return "Skipped";
  if (marks.lostAt !== null) return "Lost";
  return record?.kind ?? "waiting";
}

/** Another record of the host is changing it, or another rollout's dispatch is still out for it. */
function busy({ host, rollout }: Member): Blocked | null {
  for (const other of host.members.values()) {
    const { dispatch, record } = other;
    const { rolloutId } = other.rollout;
    if (isBusy(other) && record !== null)
      return blocked({ gate: "host-busy", rolloutId, state: record.kind });
    const isOut = dispatch !== null && isOpen(dispatch) && other.rollout !== rollout;
    if (isOut) return blocked({ gate: "host-busy", rolloutId, state: dispatch.state });
  }
  return null;
}

/**
 * Only what others hold counts: a host that holds a slot already does not need another one. But one that was passed over
 * or lost gave its slot away, and holds it again once it is back: then the others may fill the budget without it. What is
 * dispatched has its slot, and whoever comes back does not take it away.
 */
function budgetFull({ host, rollout, dispatch }: Member, look: Look): Blocked | null {
  if (dispatch !== null && isOpen(dispatch)) return null;
  for (const { name, maxInFlight } of rollout.release?.budgetsOf.get(host.host) ?? []) {
    const held = look.held(name);
    if (held - Number(look.holds(name, host.host)) < maxInFlight) continue;
    const holders = look.holders(name);
    return blocked({ gate: "budget", budget: name, held, maxInFlight, holders });
  }
  return null;
}
