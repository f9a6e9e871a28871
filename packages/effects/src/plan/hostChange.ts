import type { HostName, RolloutId } from "../ids.ts";
import { invariant } from "../invariant.ts";
import { addSecs, type Instant, later } from "../time.ts";
import type { FleetChange } from "./change.ts";
import type { FleetIndex } from "./fleetIndex.ts";
import {
  type HostEntry,
  isAway,
  type JournalBegun,
  type Member,
  mayHoldSlot,
  sameFace,
} from "./member.ts";

export type HostChange = Extract<
  FleetChange,
  {
    readonly kind:
      | "RecordChanged"
      | "MarksChanged"
      | "DispatchChanged"
      | "HostHeard"
      | "HostRevoked"
      | "HostReplayed";
  }
>;

/** More journals than this within DUPLICATE_SECS: two machines answer to one name. */
export const JOURNALS_MAX = 3;
const DUPLICATE_SECS = 3600;
const JOURNALS_KEPT = JOURNALS_MAX + 1;

/** A change of one host: constant cost, whatever the fleet's size. */
export function applyToHost(index: FleetIndex, change: HostChange): void {
  switch (change.kind) {
    case "RecordChanged": {
      const { record } = change;
      const member = memberOf(index, record);
      if (member === null) return;
      // While a withdrawn dispatch holds a slot it also counts how much of the stream is here.
      const counts = member.dispatch !== null && mayHoldSlot(member.dispatch);
      const same = !counts && sameFace(member.record, record);
      if (same) member.record = record;
      else changeMember(index, member, () => void (member.record = record));
      return;
    }
    case "MarksChanged": {
      const { marks } = change;
      const member = memberOf(index, marks);
      return member === null
        ? undefined
        : changeMember(index, member, () => void (member.marks = marks));
    }
    case "DispatchChanged": {
      const { dispatch } = change;
      const member = memberOf(index, dispatch);
      return member === null
        ? undefined
        : changeMember(index, member, () => void (member.dispatch = dispatch));
    }
    case "HostHeard":
      return heard(index, change);
    case "HostRevoked": {
      const host = index.host(change.host);
      host.revoked = change.revoked;
      return index.touchHost(host);
    }
    case "HostReplayed":
      for (const entry of index.channels.values()) {
        if (entry.replay === null) continue;
        entry.replay.replayed.add(change.host);
        if (entry.unreplayed.delete(change.host)) index.shift(entry);
      }
  }
}

/** Null where the rollout was pruned: what comes late for it changes no plan. */
function memberOf(
  index: FleetIndex,
  { rolloutId, host }: { readonly rolloutId: RolloutId; readonly host: HostName },
): Member | null {
  const entry = index.rollouts.get(rolloutId) ?? null;
  const rollout = entry?.rollout ?? null;
  // Left out, the host would neither be busy nor hold its slot: that must not pass in silence.
  invariant(
    entry !== null && rollout !== null,
    `${rolloutId} was applied before what ${host} did in it`,
  );
  return rollout.kind === "Pruned" ? null : index.join(entry, host);
}

function changeMember(index: FleetIndex, member: Member, change: () => void): void {
  index.update(member, change);
  index.touchHost(member.host);
}

function heard(
  index: FleetIndex,
  { host: name, journalId, at, report }: HostChange & { readonly kind: "HostHeard" },
): void {
  const host = index.host(name);
  const wasAway = isAway(host);
  host.lastHeardAt = later(host.lastHeardAt ?? at, at);
  if (report !== null) {
    host.report = report;
    host.reportAt = at;
  }
  if (host.journals.at(-1)?.journalId !== journalId)
    beginJournal(index, host, { journalId, since: at });
  const waking = isAway(host) !== wasAway;
  for (const member of host.members.values()) {
    const { dispatch } = member;
    // The heartbeat after its lease may free the slot of a cancelled dispatch.
    if (report !== null && dispatch !== null && mayHoldSlot(dispatch))
      index.update(member, () => undefined);
    const marked = member.marks.lostAt !== null || member.marks.skippedAt !== null;
    if (waking || marked || member.wakesWhenHeard) index.agenda.touched.add(member);
  }
  for (const channel of host.listings) {
    const entry = index.channels.get(channel);
    if (entry?.unreplayed.has(name) === true) index.shift(entry);
  }
}

function beginJournal(index: FleetIndex, host: HostEntry, begun: JournalBegun): void {
  host.journalId = begun.journalId;
  host.journals = [...host.journals, begun].slice(-JOURNALS_KEPT);
  if (host.journals.length > JOURNALS_MAX) index.touchHost(host);
}

/** When the gate duplicate-host opens for it, or null if it does not hold. */
export function duplicateUntil({ journals }: HostEntry, now: Instant): Instant | null {
  const oldest = journals.at(-JOURNALS_KEPT);
  if (oldest === undefined) return null;
  const until = addSecs(oldest.since, DUPLICATE_SECS);
  return now < until ? until : null;
}
