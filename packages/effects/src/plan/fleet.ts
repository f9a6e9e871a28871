import type { HostRollout } from "../host/state.ts";
import type { Channel, ClosureHash, HostName, RolloutId } from "../ids.ts";
import type { Release } from "../release.ts";
import type { FailureCount, Freeze } from "../rollout/input.ts";
import { type HostMarks, noMarks, type Rollout } from "../rollout/state.ts";
import type { Instant } from "../time.ts";
import type { FleetChange } from "./change.ts";
import { type ChannelEntry, closesCycle } from "./channel.ts";
import { scan, type WaveTally } from "./counts.ts";
import { type Dispatch, isOpen } from "./dispatch.ts";
import { hasDrifted, lastKnown } from "./drift.ts";
import { FleetIndex } from "./fleetIndex.ts";
import { isInForce } from "./freezes.ts";
import type { HostSight } from "./member.ts";
import type { Plan } from "./plan.ts";
import { compareNames } from "./releaseIndex.ts";
import { settle } from "./settle.ts";
import type { GateName, Waiting } from "./waiting.ts";
import { countWaiting, waitingInOrder, waitingOf } from "./waits.ts";

export interface Quarantine {
  readonly channel: Channel;
  readonly closure: ClosureHash;
  readonly since: Instant;
}

/**
 * What a plan looks at, kept in memory with its indices by `apply` and by nothing else. What is not there reads as null.
 * A commit that fails throws the whole away: it is loaded again, by `apply`: each rollout before its records, marks and
 * dispatches, everything else in any order. A host's journals are loaded by a HostHeard each, oldest first.
 */
export class FleetState {
  /** When this CP became ready: silence is not counted from before it. */
  readonly readyAt: Instant;
  /** For the plan and its gates; not for callers. */
  readonly index: FleetIndex;

  constructor(readyAt: Instant) {
    this.readyAt = readyAt;
    this.index = new FleetIndex(readyAt);
  }

  apply(change: FleetChange): void {
    this.index.apply(change);
  }

  /** Call it right after `plan`, before applying what the plan yields: keeps why hosts wait, and forgets what was touched. */
  planned(plan: Plan): void {
    settle(this.index, plan);
  }

  /** In topological order of the current releases' channel edges, then by name. */
  channels(): readonly Channel[] {
    return this.index.order;
  }

  /** What the channel is to run: the named release, unless one created no earlier was opened; then the newest opened. */
  currentRelease(channel: Channel): Release | null {
    return this.index.channels.get(channel)?.current?.release?.release ?? null;
  }

  /** Whether the release's channel edges would close a cycle: then it is to be refused. */
  closesCycle(release: Release): boolean {
    return closesCycle([...this.index.channels.values()], release);
  }

  release(rolloutId: RolloutId): Release | null {
    return this.index.rollouts.get(rolloutId)?.release?.release ?? null;
  }

  rollout(rolloutId: RolloutId): Rollout | null {
    return this.index.rollouts.get(rolloutId)?.rollout ?? null;
  }

  /** Oldest release first. */
  rolloutsOf(channel: Channel): readonly Rollout[] {
    const entries = this.index.channels.get(channel)?.rollouts ?? [];
    return entries.flatMap(({ rollout }) => (rollout === null ? [] : [rollout]));
  }

  /** Created last of those opened: the one that is planned. */
  newestRollout(channel: Channel): Rollout | null {
    return this.index.channels.get(channel)?.rollouts.at(-1)?.rollout ?? null;
  }

  hostNames(): Iterable<HostName> {
    return this.index.hosts.keys();
  }

  host(host: HostName): HostSight | null {
    return this.index.hosts.get(host) ?? null;
  }

  /** What the host runs as far as is known: stale after a restart, until it is heard. */
  runningClosure(host: HostName): ClosureHash | null {
    return lastKnown(this.index.hosts.get(host) ?? null, this.readyAt);
  }

  /** Converged in this rollout, and known to run something else since. */
  hasDrifted(rolloutId: RolloutId, host: HostName): boolean {
    const member = this.index.member(rolloutId, host);
    return member !== null && hasDrifted(member, this.readyAt);
  }

  record(rolloutId: RolloutId, host: HostName): HostRollout | null {
    return this.index.member(rolloutId, host)?.record ?? null;
  }

  recordsOf(host: HostName): readonly HostRollout[] {
    const members = this.index.hosts.get(host)?.members.values() ?? [];
    return [...members].flatMap(({ record }) => (record === null ? [] : [record]));
  }

  marks(rolloutId: RolloutId, host: HostName): HostMarks {
    return this.index.member(rolloutId, host)?.marks ?? noMarks(rolloutId, host);
  }

  /** The latest of this host in this rollout, answered or not. */
  dispatch(rolloutId: RolloutId, host: HostName): Dispatch | null {
    return this.index.member(rolloutId, host)?.dispatch ?? null;
  }

  /** The one to hand out, or null. */
  openDispatch(host: HostName): Dispatch | null {
    const members = this.index.hosts.get(host)?.members.values() ?? [];
    for (const { dispatch } of members) if (dispatch !== null && isOpen(dispatch)) return dispatch;
    return null;
  }

  openDispatches(rolloutId: RolloutId): readonly Dispatch[] {
    const entry = this.index.rollouts.get(rolloutId);
    const members = entry === undefined ? [] : [...this.index.agenda.open(entry)];
    return members
      .toSorted((a, b) => a.order - b.order || compareNames(a.host.host, b.host.host))
      .flatMap(({ dispatch }) => (dispatch === null ? [] : [dispatch]));
  }

  quarantinedSince(channel: Channel, closure: ClosureHash): Instant | null {
    return this.index.channels.get(channel)?.quarantined.get(closure) ?? null;
  }

  quarantines(): readonly Quarantine[] {
    const of = ({ channel, quarantined }: ChannelEntry): readonly Quarantine[] =>
      [...quarantined].map(([closure, since]) => ({ channel, closure, since }));
    return [...this.index.channels.values()].flatMap(of);
  }

  /** Expired ones too, until they are removed. */
  freezes(): readonly Freeze[] {
    return this.index.freezes.list();
  }

  freezesInForce(now: Instant): readonly Freeze[] {
    return this.index.freezes.list().filter((freeze) => isInForce(freeze, now));
  }

  unverified(channel: Channel): { readonly reason: string; readonly since: Instant } | null {
    return this.index.channels.get(channel)?.unverified ?? null;
  }

  failures(rolloutId: RolloutId): FailureCount {
    const entry = this.index.rollouts.get(rolloutId);
    if (entry === undefined) return { failures: 0, reverted: 0, maxFailures: 0 };
    return this.index.counts.failures(entry);
  }

  waves(rolloutId: RolloutId): readonly WaveTally[] {
    const entry = this.index.rollouts.get(rolloutId);
    const waves = entry?.release?.release.waves ?? [];
    return waves.flatMap(({ index }) =>
      entry === undefined ? [] : [this.index.counts.wave(entry, index)],
    );
  }

  /** Hosts that hold a slot of the budget now, over all rollouts, by name. */
  holders(budget: string): readonly HostName[] {
    return [...this.index.counts.held(budget).keys()].toSorted(compareNames);
  }

  /** Why the hosts wait that a plan has looked at, as of the last one, in its order; `explainHost` computes it afresh. */
  waiting(rolloutId: RolloutId): readonly Waiting[] {
    const entry = this.index.rollouts.get(rolloutId);
    return entry === undefined ? [] : waitingOf(this.index, entry);
  }

  /** The same, one by one: for whoever needs only the first few. */
  *waitingInOrder(rolloutId: RolloutId): Generator<Waiting> {
    const entry = this.index.rollouts.get(rolloutId);
    if (entry !== undefined) yield* waitingInOrder(this.index, entry);
  }

  /** How many hosts wait at which gate, those of waves to come too. Reads no host. Empty for a rollout that is not planned. */
  waitingByGate(rolloutId: RolloutId): ReadonlyMap<GateName, number> {
    const entry = this.index.rollouts.get(rolloutId);
    return entry === undefined ? new Map() : countWaiting(this.index, entry);
  }

  /** Everything that `apply` keeps counted, counted anew: tests hold the two equal. */
  recount(): ReturnType<typeof scan> {
    return scan(this.index.rollouts.values());
  }
}

export type Fleet = FleetState;
