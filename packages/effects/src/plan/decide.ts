import { isInFlight } from "../host/state.ts";
import type { Policy } from "../release.ts";
import type { HostSkipped, Input, SkipReason } from "../rollout/input.ts";
import { addSecs, earliest, type Instant } from "../time.ts";
import { isOpen } from "./dispatch.ts";
import { type Blocked, firstBlock } from "./gates.ts";
import type { Look } from "./look.ts";
import {
  isAway,
  isPlanned,
  isUnfinished,
  isWaveOpen,
  type Member,
  mayStillBeAcked,
  type Owed,
  owed,
  silentSince,
  standingOf,
  unheardFrom,
} from "./member.ts";

/** What is to be done about one host now. One thing a round: the next round sees it done. */
type Decision =
  | { readonly kind: "input"; readonly input: Input }
  | { readonly kind: "moves"; readonly owed: Owed }
  | { readonly kind: "waits"; readonly blocked: Blocked; readonly ofRollout: boolean }
  | { readonly kind: "rests" };

/** A decision, and the instant at which time alone may change it. */
export interface Decided {
  readonly member: Member;
  readonly decision: Decision;
  readonly wakesAt: Instant | null;
}

/** The one decision function: `plan` and `planAll` both ask it, and nothing else decides about a host (hazard 17). */
export function decide(member: Member, look: Look): Decided {
  const decision = decisionOn(member, look);
  const at = decision.kind === "waits" && !decision.ofRollout ? decision.blocked.earliest : null;
  const deadlines = [at, silenceDeadline(member, look)].flatMap((due) =>
    due === null ? [] : [due],
  );
  return { member, decision, wakesAt: earliest(deadlines) };
}

function decisionOn(member: Member, look: Look): Decision {
  const input = silenceInput(member, look) ?? passingInput(member, look);
  if (input !== null) return { kind: "input", input };
  const { dispatch, rollout, host } = member;
  const due = owed(member);
  const isOut = dispatch !== null && isOpen(dispatch) && isPlanned(rollout);
  if (due === null && !isOut) return { kind: "rests" };
  const block = firstBlock(member, look);
  if (due !== null)
    return block === null
      ? { kind: "moves", owed: due }
      : { kind: "waits", blocked: block, ofRollout: block.ofRollout };
  if (block === null || dispatch === null) return { kind: "rests" };
  // A gate closed over a dispatch that nobody has answered: it is withdrawn in the same commit (hazard 18).
  const { rolloutId } = rollout;
  const { attempt } = dispatch;
  const { gate } = block.block;
  const cancelled = {
    kind: "DispatchCancelled",
    rolloutId,
    host: host.host,
    attempt,
    gate,
  } as const;
  return { kind: "input", input: { ...cancelled, at: look.now } };
}

/** In flight and silent: lost, and found when it is heard. */
function silenceInput(member: Member, look: Look): Input | null {
  const { host, rollout, marks } = member;
  const of = { rolloutId: rollout.rolloutId, host: host.host, at: look.now };
  if (marks.lostAt !== null) {
    const isHeard = host.lastHeardAt !== null && host.lastHeardAt >= marks.lostAt;
    return isHeard ? { kind: "HostFound", ...of, ...look.failuresWith(member, "found") } : null;
  }
  const deadline = lostDeadline(member, look);
  if (deadline === null || look.now < deadline) return null;
  return { kind: "HostLost", ...of, ...look.failuresWith(member, "lost") };
}

/** Passed over, so that its wave need not wait for it; and back. */
function passingInput(member: Member, look: Look): Input | null {
  const { host, rollout, marks } = member;
  const of = { rolloutId: rollout.rolloutId, host: host.host, at: look.now };
  const reason = skipReason(member, look);
  if (marks.skippedAt === null)
    return reason === null ? null : ({ kind: "HostSkipped", ...of, reason } satisfies HostSkipped);
  // Nobody waits for it there any more.
  if (!isPlanned(rollout) && !isUnfinished(member)) return null;
  // Silence is not counted from before the CP was ready; but only a host that was heard is back.
  const grace = policyOf(member)?.offlineGraceSecs ?? 0;
  const isHeard = host.lastHeardAt !== null && look.now < addSecs(host.lastHeardAt, grace);
  return reason === null && isHeard ? { kind: "HostReturned", ...of } : null;
}

/**
 * Why the host is to be passed over now, or null. Never one that has something to show for itself, unless it keeps a slot by a
 * dispatch that was withdrawn: nobody else would ever free that of a host that is not heard again, in whatever rollout.
 */
export function skipReason(member: Member, look: Look): SkipReason | null {
  const { host, rollout, listed } = member;
  const isProven =
    standingOf({ ...member, marks: { ...member.marks, skippedAt: null } }) === "proven";
  const awaits = awaitsDispatch(member) && isWaveOpen(member);
  const unfinished = isUnfinished(member);
  const mayAck = mayStillBeAcked(member);
  if (!awaits && !unfinished && !mayAck) return null;
  if (host.revoked) return "revoked";
  if (isProven && !mayAck) return null;
  const quarantined = look.channelOf(rollout).quarantined;
  if (awaits && !unfinished && !isProven && listed !== null && quarantined.has(listed.closure))
    return "quarantined";
  const deadline = offlineDeadline(member, look);
  return deadline !== null && look.now >= deadline ? "offline" : null;
}

const awaitsDispatch = (member: Member): boolean =>
  owed(member) !== null ||
  (isPlanned(member.rollout) && member.dispatch !== null && isOpen(member.dispatch));

/** The rollout's own policy, also after its release has gone: the record carries it. */
const policyOf = ({ rollout, record }: Member): Policy | null =>
  record?.terms?.policy ?? rollout.release?.release.policy ?? null;

/** When a silent host in flight counts as lost; one that said that it goes off is away instead. */
function lostDeadline(member: Member, look: Look): Instant | null {
  const { host, record, marks } = member;
  const policy = policyOf(member);
  if (policy === null || record === null || !isInFlight(record)) return null;
  if (marks.forgottenAt !== null || marks.skippedAt !== null || isAway(host)) return null;
  return addSecs(silentSince(member, look.index.readyAt), policy.lostSecs);
}

/** When silence passes a host over: one that waits for a dispatch or for its next boot, or is in flight and away. */
function offlineDeadline(member: Member, look: Look): Instant | null {
  const { host, record, marks } = member;
  const policy = policyOf(member);
  if (policy === null || marks.lostAt !== null) return null;
  const inFlight = record !== null && isInFlight(record) && marks.forgottenAt === null;
  if (inFlight && !isAway(host)) return null;
  return addSecs(silentSince(member, look.index.readyAt), policy.offlineGraceSecs);
}

/** The next instant at which more silence would mean something, or null. */
function silenceDeadline(member: Member, look: Look): Instant | null {
  const { marks } = member;
  if (marks.skippedAt !== null || marks.lostAt !== null) return null;
  const awaits = awaitsDispatch(member) && isWaveOpen(member);
  const waits = awaits || isUnfinished(member) || mayStillBeAcked(member);
  const passing = waits ? offlineDeadline(member, look) : null;
  const closing = awaits ? unheardFrom(member, look.index.readyAt) : null;
  const due = [lostDeadline(member, look), passing, closing].flatMap((at) =>
    at !== null && at > look.now ? [at] : [],
  );
  return earliest(due);
}
