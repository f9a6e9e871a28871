import type { Channel, HostName, RolloutId } from "../ids.ts";
import { noMarks, type Rollout } from "../rollout/state.ts";
import type { Instant } from "../time.ts";
import { Agenda } from "./agenda.ts";
import type { FleetChange } from "./change.ts";
import {
  byCreation,
  type ChannelEntry,
  channelEntry,
  currentOf,
  gatingChannels,
  topological,
} from "./channel.ts";
import { KeptCounts } from "./counts.ts";
import { isOpen } from "./dispatch.ts";
import { Freezes } from "./freezes.ts";
import { applyToHost } from "./hostChange.ts";
import { type HostEntry, isPlanned, type Member, type RolloutEntry, UNCOUNTED } from "./member.ts";
import { applyToRollout } from "./rolloutChange.ts";
import { WaitCounts } from "./waitCounts.ts";

/** The fleet's parts, indexed, and the agenda that every change adds to. */
export class FleetIndex {
  readonly readyAt: Instant;
  readonly channels = new Map<Channel, ChannelEntry>();
  readonly rollouts = new Map<RolloutId, RolloutEntry>();
  readonly hosts = new Map<HostName, HostEntry>();
  readonly freezes = new Freezes();
  readonly counts = new KeptCounts();
  readonly agenda = new Agenda();
  /** The first plan of this process: a host that waited then may have waited before. */
  firstPlanAt: Instant | null = null;
  lastPlanAt: Instant | null = null;
  /** Channels in topological order. */
  order: readonly Channel[] = [];
  readonly rankOf = new Map<Channel, number>();

  constructor(readyAt: Instant) {
    this.readyAt = readyAt;
  }

  apply(change: FleetChange): void {
    switch (change.kind) {
      case "RecordChanged":
      case "MarksChanged":
      case "DispatchChanged":
      case "HostHeard":
      case "HostRevoked":
      case "HostReplayed":
        return applyToHost(this, change);
      case "ReleaseVerified":
      case "ChannelUnverified":
      case "RolloutChanged":
      case "QuarantineInserted":
      case "QuarantineRemoved":
      case "FreezeInserted":
      case "FreezeRemoved":
      case "ReplayBegan":
      case "ReplayEnded":
        return applyToRollout(this, change);
    }
  }

  channel(channel: Channel): ChannelEntry {
    const known = this.channels.get(channel);
    if (known !== undefined) return known;
    const made = channelEntry(channel);
    this.channels.set(channel, made);
    this.reorder();
    return made;
  }

  host(host: HostName): HostEntry {
    const known = this.hosts.get(host);
    if (known !== undefined) return known;
    const made: HostEntry = {
      host,
      journalId: null,
      lastHeardAt: null,
      report: null,
      reportAt: null,
      revoked: false,
      journals: [],
      members: new Map(),
      listings: new Set(),
    };
    this.hosts.set(host, made);
    return made;
  }

  rollout(of: Pick<Rollout, "rolloutId" | "channel" | "createdAt">): RolloutEntry {
    const known = this.rollouts.get(of.rolloutId);
    if (known !== undefined) return known;
    const made: RolloutEntry = {
      rolloutId: of.rolloutId,
      channel: of.channel,
      createdAt: of.createdAt,
      rollout: null,
      release: null,
      members: new Map(),
      newest: false,
      waits: new WaitCounts(),
    };
    this.rollouts.set(of.rolloutId, made);
    return made;
  }

  member(rolloutId: RolloutId, host: HostName): Member | null {
    return this.hosts.get(host)?.members.get(rolloutId) ?? null;
  }

  /** The member, made if need be; counted from then on. */
  join(rollout: RolloutEntry, name: HostName): Member {
    const host = this.host(name);
    const known = host.members.get(rollout.rolloutId);
    if (known !== undefined) return known;
    const made: Member = {
      host,
      rollout,
      listed: null,
      order: Number.POSITIVE_INFINITY,
      record: null,
      marks: noMarks(rollout.rolloutId, name),
      dispatch: null,
      counted: UNCOUNTED,
      waiting: null,
      waitsAt: null,
      waitingSince: null,
      wakesWhenHeard: false,
      timerAt: null,
    };
    this.#place(made);
    host.members.set(rollout.rolloutId, made);
    rollout.members.set(name, made);
    this.counts.add(made);
    return made;
  }

  /** The one way to change a member: what it is counted as follows, and whoever may move because of it is touched. */
  update(member: Member, change: () => void): void {
    const before = member.counted;
    const freed = this.counts.remove(member);
    change();
    this.#place(member);
    this.counts.add(member);
    this.agenda.setOpen(member, member.dispatch !== null && isOpen(member.dispatch));
    const after = member.counted;
    for (const budget of freed) if (!after.slots.includes(budget)) this.agenda.freed.add(budget);
    if (before.standing !== after.standing || before.failing !== after.failing)
      this.agenda.progressed.add(member.rollout);
    if ((before.standing === "proven") !== (after.standing === "proven")) this.#touchGated(member);
  }

  /** All of a host's members: one's record may keep another waiting (host-busy). */
  touchHost(host: HostEntry): void {
    for (const member of host.members.values()) this.agenda.touched.add(member);
  }

  /** Forgets a member that nothing but a planned rollout listed; one with a history stays until it is pruned. */
  drop(member: Member): void {
    for (const budget of this.counts.remove(member)) this.agenda.freed.add(budget);
    this.agenda.drop(member);
    member.rollout.waits.move(member.waitsAt, null);
    member.rollout.members.delete(member.host.host);
    member.host.members.delete(member.rollout.rolloutId);
  }

  /** Makes the listed hosts of the planned rollout members, and lets go of those of the one before. */
  relist(rollout: RolloutEntry): void {
    const { release } = rollout;
    if (release === null) return;
    const wanted = isPlanned(rollout);
    for (const member of rollout.members.values()) {
      const bare = member.record === null && member.dispatch === null && !isMarked(member);
      if (bare && !wanted) this.drop(member);
      else this.update(member, () => undefined);
    }
    if (!wanted) return;
    for (const { host, wave } of release.hosts) {
      const member = this.join(rollout, host);
      if (wave <= (rollout.rollout?.cursor ?? 0) || member.record !== null)
        this.agenda.touched.add(member);
    }
    this.agenda.progressed.add(rollout);
  }

  /** After a release or a rollout of the channel came or changed: what it is to run, who is listed, who comes first. */
  refresh(entry: ChannelEntry): void {
    const before = entry.current;
    entry.rollouts = entry.rollouts.toSorted(byCreation);
    const newest = entry.rollouts.at(-1) ?? null;
    for (const rollout of entry.rollouts) {
      if (rollout.newest === (rollout === newest)) continue;
      rollout.newest = rollout === newest;
      this.relist(rollout);
    }
    entry.current = currentOf(entry);
    this.agenda.channels.add(entry.channel);
    if (entry.current !== before || this.#listedNothing(entry)) this.#list(entry, before);
    this.reorder();
    this.shift(entry);
  }

  /** A gate of the channel's whole rollout, or of one that waits for it, may have opened or closed. */
  shift(entry: ChannelEntry): void {
    for (const other of this.channels.values()) {
      if (other !== entry && !gatingChannels(other).includes(entry.channel)) continue;
      const newest = other.rollouts.at(-1);
      if (newest !== undefined) this.agenda.shifted.add(newest);
      this.agenda.channels.add(other.channel);
    }
  }

  reorder(): void {
    this.order = topological(this.channels.values());
    this.rankOf.clear();
    for (const [rank, channel] of this.order.entries()) this.rankOf.set(channel, rank);
  }

  #place(member: Member): void {
    const { release } = member.rollout;
    const order = release?.orderOf.get(member.host.host);
    member.listed = order === undefined ? null : (release?.hosts[order] ?? null);
    member.order = order ?? Number.POSITIVE_INFINITY;
  }

  #touchGated({ rollout, host }: Member): void {
    for (const name of rollout.release?.gatedBy.get(host.host) ?? []) {
      const gated = rollout.members.get(name);
      if (gated !== undefined) this.agenda.touched.add(gated);
    }
  }

  #listedNothing({ current, channel }: ChannelEntry): boolean {
    const first = current?.release?.hosts[0];
    return first !== undefined && this.hosts.get(first.host)?.listings.has(channel) !== true;
  }

  /** Two channels that list one host hold it back (channel-conflict), until one lets go. */
  #list(entry: ChannelEntry, before: RolloutEntry | null): void {
    for (const { host } of before?.release?.hosts ?? []) {
      const left = this.host(host);
      left.listings.delete(entry.channel);
      if (left.listings.size > 0) this.touchHost(left);
    }
    entry.unreplayed = new Set();
    for (const { host } of entry.current?.release?.hosts ?? []) {
      const listed = this.host(host);
      listed.listings.add(entry.channel);
      if (listed.listings.size > 1) this.touchHost(listed);
      if (entry.replay?.replayed.has(host) === false) entry.unreplayed.add(host);
    }
  }
}

function isMarked({ marks }: Member): boolean {
  return (
    marks.skippedAt !== null ||
    marks.lostAt !== null ||
    marks.forgottenAt !== null ||
    marks.forgivenAt !== null ||
    marks.attemptDue !== null ||
    marks.retriedAt !== null
  );
}
