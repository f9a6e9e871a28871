import {
  type Channel,
  type Fleet,
  FleetState,
  type GateName,
  type HostName,
  type HostReport,
  type Instant,
  type JournalId,
  type Release,
  type RolloutId,
  type Sha256,
} from "@nixwave/effects";
import type { LogHeadPosition } from "../log/segment.ts";
import type { DerivedChange } from "./change.ts";
import { applyChange, type FoldView } from "./fold.ts";
import { type IdentityRecords, noRecords } from "./identity.ts";
import { Leases } from "./leases.ts";
import { ReadLines } from "./readLines.ts";
import type { Loaded, LoadedHost } from "./store.ts";
import { Streams } from "./streams.ts";

/** What the writer knows of a host beside the fleet: its journals in order, the last one current. */
export interface KnownHost {
  readonly journals: JournalId[];
  lastHeardAt: Instant | null;
  report: HostReport | null;
  foreignHead: Sha256 | null;
  /** The failure of which the unit's output was asked for, and how often. */
  logAsked: { readonly failure: string; readonly times: number } | null;
}

/**
 * Everything that the writer keeps in memory, made from the store and moved by folds. It moves with a commit; after one that failed
 * it is thrown away and loaded again.
 */
export interface Memory extends FoldView {
  readonly fleet: Fleet;
  readonly releases: Map<RolloutId, Release>;
  /** What each channel's current.json named when it was last verified. */
  readonly currents: Map<Channel, RolloutId>;
  /** What was last refused of a channel, so that it is said once. */
  readonly refusals: Map<Channel, string>;
  revoked: ReadonlySet<HostName>;
  /** What enrolment has given out and used up. */
  identity: IdentityRecords;
  readonly hosts: Map<HostName, KnownHost>;
  /** Gates that hold hosts now, per rollout. */
  readonly gates: Map<RolloutId, Map<GateName, Instant>>;
  /** Rollouts whose gates may have changed since they were last counted. */
  readonly gatesTouched: Set<RolloutId>;
  /** Channels whose gate `replay` is in force, and the hosts that were heard and have nothing more to send. */
  readonly replaying: Map<Channel, Instant>;
  readonly replayed: Set<HostName>;
  /** Since the replay began, every release that the repository holds was taken: its streams can be told from unknown ones. */
  heldTaken: boolean;
  /** Heard since it was last stored. */
  readonly unstored: Set<HostName>;
  /** An observation that can't wait for the next writing of what was heard. */
  mustStore: boolean;
  /** When what was heard was last stored, and when gates were last counted. */
  storedAt: Instant;
  gatesAt: Instant;
  /** The highest refused number of an unknown rollout per host, so that one that is sent again is logged once. */
  readonly unknown: Map<string, number>;
  head: LogHeadPosition;
}

export function emptyMemory(readyAt: Instant, head: LogHeadPosition): Memory {
  const releases = new Map<RolloutId, Release>();
  return {
    fleet: new FleetState(readyAt),
    streams: new Streams(),
    leases: new Leases(),
    lines: new ReadLines(),
    releases,
    currents: new Map(),
    refusals: new Map(),
    revoked: new Set(),
    identity: noRecords(),
    release: (rolloutId) => releases.get(rolloutId) ?? null,
    hosts: new Map(),
    gates: new Map(),
    gatesTouched: new Set(),
    replaying: new Map(),
    replayed: new Set(),
    heldTaken: false,
    unstored: new Set(),
    mustStore: false,
    storedAt: readyAt,
    gatesAt: readyAt,
    unknown: new Map(),
    head,
  };
}

/** The fleet and the gates follow a change. */
export function applyToMemory(memory: Memory, change: DerivedChange): void {
  if (change.kind === "GateMoved") moveGate(memory, change);
  applyChange(memory, change);
}

function moveGate(memory: Memory, change: Extract<DerivedChange, { kind: "GateMoved" }>): void {
  const { rolloutId, gate, since } = change;
  const held = memory.gates.get(rolloutId) ?? new Map<GateName, Instant>();
  memory.gates.set(rolloutId, held);
  if (since === null) held.delete(gate);
  else held.set(gate, since);
}

/** `readyAt`: silence counts from it; `now`: leases do. */
export function memoryFrom(
  loaded: Loaded,
  { readyAt, now }: { readonly readyAt: Instant; readonly now: Instant },
): Memory {
  const memory = emptyMemory(readyAt, loaded.head);
  const { fleet } = memory;
  for (const release of loaded.releases) memory.releases.set(release.rolloutId, release);
  loadChannels(memory, loaded, now);
  for (const rollout of loaded.rollouts) fleet.apply({ kind: "RolloutChanged", rollout });
  for (const marks of loaded.marks) fleet.apply({ kind: "MarksChanged", marks });
  for (const record of loaded.records) fleet.apply({ kind: "RecordChanged", record });
  for (const dispatch of loaded.dispatches) {
    memory.leases.restore(dispatch, now);
    fleet.apply({ kind: "DispatchChanged", dispatch: memory.leases.held(dispatch) });
  }
  for (const quarantine of loaded.quarantines) fleet.apply(quarantine);
  for (const freeze of loaded.freezes) fleet.apply({ kind: "FreezeInserted", freeze });
  for (const stream of loaded.streams) memory.streams.set(stream);
  for (const gate of loaded.gates) moveGate(memory, { kind: "GateMoved", ...gate });
  for (const host of loaded.hosts) loadHost(memory, host);
  memory.revoked = new Set(loaded.revoked);
  memory.identity = loaded.identity;
  for (const host of loaded.revoked) fleet.apply({ kind: "HostRevoked", host, revoked: true });
  for (const { channel, since } of loaded.replayGates) {
    memory.replaying.set(channel, since);
    fleet.apply({ kind: "ReplayBegan", channels: [channel], since });
  }
  return memory;
}

/** Oldest release first; each channel's current one says so, with the instant at which it was last verified. */
function loadChannels(memory: Memory, loaded: Loaded, now: Instant): void {
  const byChannel = new Map(loaded.channels.map((channel) => [channel.channel, channel]));
  for (const release of loaded.releases) {
    const channel = byChannel.get(release.channel);
    const current = channel?.current === release.rolloutId;
    const at = (current ? channel?.verifiedAt : null) ?? now;
    memory.fleet.apply({ kind: "ReleaseVerified", release, current, at });
  }
  for (const { channel, current, unverified } of loaded.channels) {
    if (current !== null) memory.currents.set(channel, current);
    if (unverified !== null)
      memory.fleet.apply({ kind: "ChannelUnverified", channel, ...unverified });
  }
}

function loadHost(memory: Memory, loaded: LoadedHost): void {
  const { host, journals, lastHeardAt, report, foreignHead } = loaded;
  memory.hosts.set(host, {
    journals: journals.map(({ journalId }) => journalId),
    lastHeardAt,
    report,
    foreignHead,
    logAsked: null,
  });
  for (const { journalId, beganAt } of journals)
    memory.fleet.apply({ kind: "HostHeard", host, journalId, at: beganAt, report: null });
  const current = journals.at(-1);
  if (current !== undefined && lastHeardAt !== null)
    memory.fleet.apply({
      kind: "HostHeard",
      host,
      journalId: current.journalId,
      at: lastHeardAt,
      report,
    });
}

/**
 * After a failed commit: what was only in memory and is still true, under the journals that the store knows. Who was replayed is not: the
 * streams or releases that it went by may be those that were not stored, so the replay begins anew: unknown is not absent (hazard 33).
 */
export function carryOver(from: Memory, to: Memory): void {
  for (const [host, seen] of from.hosts) {
    const known = to.hosts.get(host);
    const journalId = known?.journals.at(-1);
    if (known === undefined || journalId === undefined || seen.lastHeardAt === null) continue;
    // That its host was heard is true whatever it writes; what a journal says that could not be stored is not known yet.
    const report = seen.journals.at(-1) === journalId ? seen.report : null;
    known.lastHeardAt = seen.lastHeardAt;
    known.report = report ?? known.report;
    to.unstored.add(host);
    to.fleet.apply({
      kind: "HostHeard",
      host,
      journalId,
      at: seen.lastHeardAt,
      report,
    });
  }
  to.storedAt = from.storedAt;
  to.gatesAt = from.gatesAt;
}
