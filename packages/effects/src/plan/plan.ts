import type { RemoteOpenRolloutRecord, RemoteQueueDispatch } from "../effect.ts";
import { invariant } from "../invariant.ts";
import type { Input } from "../rollout/input.ts";
import { addSecs, type Instant } from "../time.ts";
import { candidates, everyone } from "./candidates.ts";
import type { ChannelEntry } from "./channel.ts";
import { type Decided, decide } from "./decide.ts";
import type { FleetState } from "./fleet.ts";
import { Look } from "./look.ts";
import type { Member, Owed, RolloutEntry } from "./member.ts";
import { openings, progress } from "./progress.ts";
import type { Waiting } from "./waiting.ts";

/** Inputs to log and fold, then effects to commit, and why the hosts looked at did not move. */
export interface Plan {
  readonly inputs: readonly Input[];
  readonly effects: readonly (RemoteOpenRolloutRecord | RemoteQueueDispatch)[];
  readonly waiting: readonly Waiting[];
  /** For `FleetState.planned`. */
  readonly notes: PlanNotes;
}

/** What was looked at, and when time alone makes it worth another look. */
export interface PlanNotes {
  readonly now: Instant;
  readonly decided: readonly Decided[];
  /** Nothing holds them, but the inputs of this plan may: they are looked at again in the next round. */
  readonly postponed: readonly Member[];
  readonly rollouts: readonly {
    readonly rollout: RolloutEntry;
    readonly wakesAt: Instant | null;
  }[];
}

/** Looks only at what was touched since the last `planned`, or is due by now. Changes nothing. */
export function plan(fleet: FleetState, now: Instant): Plan {
  const look = new Look(fleet.index, fleet.index.counts, now);
  return draw(look, candidates(look));
}

/** The reference: looks at every host of every rollout, and counts everything anew. */
export function planAll(fleet: FleetState, now: Instant): Plan {
  const look = new Look(fleet.index, fleet.recount(), now);
  return draw(look, everyone(look));
}

/** The next instant at which time alone may change a plan, or null. It may be early, never late. */
export const nextPlanAt = (fleet: FleetState): Instant | null => fleet.index.agenda.nextAt();

/** What to look at: channels in topological order, then hosts in (channel, wave, name) order, found while slots are taken. */
export interface Candidates {
  readonly channels: readonly ChannelEntry[];
  readonly rollouts: PlanNotes["rollouts"];
  readonly members: Iterable<Member>;
}

/**
 * Facts first, permissions after: while a plan has inputs, nobody moves. An input of the same plan may supersede or halt the
 * very rollout, and no dispatch may be queued in a transaction that closes its gate (hazard 18).
 */
function draw(look: Look, { channels, rollouts, members }: Candidates): Plan {
  const facts: Input[] = channels.flatMap((entry) => [
    ...openings(entry, look.now),
    ...progress(entry, look),
  ]);
  const movers: Mover[] = [];
  const waiting: Waiting[] = [];
  const decided: Decided[] = [];
  for (const member of members) {
    const one = decide(member, look);
    decided.push(one);
    switch (one.decision.kind) {
      case "input":
        facts.push(one.decision.input);
        break;
      case "moves":
        look.take(member);
        movers.push({ member, owed: one.decision.owed });
        break;
      case "waits":
        waiting.push(waitingOf(one));
        break;
      case "rests":
        break;
    }
  }
  const { now } = look;
  const notes = { now, decided, rollouts };
  if (facts.length > 0) {
    const postponed = movers.map(({ member }) => member);
    return { inputs: facts, effects: [], waiting, notes: { ...notes, postponed } };
  }
  const inputs = movers.flatMap((mover) => joining(mover, now));
  const effects = movers.flatMap((mover) => moving(mover, now));
  return { inputs, effects, waiting, notes: { ...notes, postponed: [] } };
}

interface Mover {
  readonly member: Member;
  readonly owed: Owed;
}

export function waitingOf({ member, decision }: Decided): Waiting {
  invariant(decision.kind === "waits", "only a host that waits has a reason to");
  const { block, earliest, clears } = decision.blocked;
  const { rolloutId } = member.rollout;
  return { host: member.host.host, rolloutId, block, earliest, clears };
}

function joining({ member: { host, rollout }, owed }: Mover, now: Instant): readonly Input[] {
  if (!owed.joins) return [];
  const { attempt } = owed;
  const { journalId } = host;
  invariant(journalId !== null, `${host.host} was heard before it is dispatched to`);
  const { rolloutId } = rollout;
  return [
    {
      kind: "HostJoined",
      rolloutId,
      host: host.host,
      attempt,
      journalId,
      dispatchedAt: now,
      at: now,
    },
  ];
}

function moving({ member, owed }: Mover, now: Instant): Plan["effects"] {
  const {
    host: { host },
    rollout,
    listed,
  } = member;
  invariant(listed !== null, `${host} is listed by the release that it moves to`);
  const { rolloutId, channel } = rollout;
  const wave = rollout.release?.release.waves.find(({ index }) => index === listed.wave);
  const soakDueAt = addSecs(now, wave?.soakSecs ?? 0);
  const queue: RemoteQueueDispatch = {
    kind: "RemoteQueueDispatch",
    host,
    rolloutId,
    targetClosure: listed.closure,
    soakDueAt,
  };
  const open: RemoteOpenRolloutRecord = {
    kind: "RemoteOpenRolloutRecord",
    rolloutId,
    channel,
    host,
  };
  return owed.joins ? [open, queue] : [queue];
}
