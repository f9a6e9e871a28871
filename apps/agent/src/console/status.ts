import {
  type Channel,
  type ClosureHash,
  type HostName,
  type HostRollout,
  type Instant,
  type RejectCode,
  type RolloutId,
  secsBetween,
} from "@nixwave/effects";
import { formatInstant, shownHostRollout } from "@nixwave/protocol";
import { z } from "zod";
import type { IdentityShown } from "../identity/shown.ts";
import type { Journal } from "../journal/journal.ts";
import type { OutboxCounts, RefusedLine } from "../journal/outboxTable.ts";
import { type TrustShown, trustRows } from "./trust.ts";

/** What `nixwave-agent status --json` prints: one documented object. Instants are RFC 3339. */
export interface Status {
  readonly host: HostName;
  readonly channel: Channel;
  readonly agentVersion: string;
  readonly journalId: string;
  readonly now: string;
  /** The record in force, or null; as in `nixwave hosts --json`. */
  readonly current: unknown;
  /** In words: the state's name, never anything greener. */
  readonly says: string;
  readonly knownGood: ClosureHash | null;
  readonly hold: { readonly until: string; readonly reason: string } | null;
  readonly outbox: OutboxCounts;
  readonly refusedEvents: readonly RefusedLine[];
  readonly newestRelease: string | null;
  /** Records that a newer version of the agent wrote: left alone. */
  readonly opaqueRecords: number;
  /** Why nothing can be written now, or null. */
  readonly trouble: string | null;
  /** The certificate that this host is known by; null without TLS. */
  readonly identity: IdentityShown | null;
  /** Null where no root is configured: releases are then known by their hashes alone. */
  readonly trust: TrustShown | null;
  /** The last dispatch that was refused, of the newest record that was; null: none is known. */
  readonly lastRefusal: {
    readonly rolloutId: RolloutId;
    readonly code: RejectCode | null;
    readonly reason: string;
    readonly at: string;
  } | null;
}

export interface StatusOf {
  readonly host: HostName;
  readonly channel: Channel;
  readonly agentVersion: string;
  readonly now: Instant;
  readonly trouble: string | null;
  readonly identity: IdentityShown | null;
  readonly trust: TrustShown | null;
}

export function statusOf(journal: Journal, of: StatusOf): Status {
  const { now, ...rest } = of;
  const facts = journal.facts();
  const current = journal.records.current();
  const hold = facts.hold !== null && facts.hold.until > now ? facts.hold : null;
  return {
    ...rest,
    journalId: facts.journalId,
    now: formatInstant(now),
    current: current === null ? null : z.encode(shownHostRollout, current),
    says: sayOf(current ?? newestOf(journal), now),
    knownGood: facts.knownGood.at(-1) ?? null,
    hold: hold === null ? null : { until: formatInstant(hold.until), reason: hold.reason },
    outbox: journal.outbox.counts(),
    refusedEvents: journal.outbox.refused(),
    newestRelease: facts.newestCreatedAt === null ? null : formatInstant(facts.newestCreatedAt),
    opaqueRecords: journal.all().filter((record) => record.kind === "opaque").length,
    lastRefusal: lastRefusalOf(journal),
  };
}

/** A refusal that was followed by an acknowledgement is over, and no longer in its record. */
function lastRefusalOf(journal: Journal): Status["lastRefusal"] {
  const refusals = journal.all().flatMap((record) => {
    if (record.kind === "opaque" || record.lastReject === null) return [];
    const { rolloutId, lastReject } = record;
    return [{ rolloutId, lastReject }];
  });
  const last = refusals.toSorted((a, b) => b.lastReject.rejectedAt - a.lastReject.rejectedAt)[0];
  if (last === undefined) return null;
  const { code, reason, rejectedAt } = last.lastReject;
  return { rolloutId: last.rolloutId, code, reason, at: formatInstant(rejectedAt) };
}

function newestOf(journal: Journal): HostRollout | null {
  const known = journal.all().filter((record) => record.kind !== "opaque");
  return known.at(-1) ?? null;
}

const minutes = (secs: number): string =>
  secs < 60 ? `${Math.max(0, Math.round(secs))} s` : `${Math.round(secs / 60)} min`;

/** One sentence about a record; every word for a state is the state's name. */
function sayOf(record: HostRollout | null, now: Instant): string {
  if (record === null) return "No rollout has reached this host yet.";
  const ago = (at: Instant): string => minutes(secsBetween(at, now));
  const about = (id: RolloutId, text: string): string => `${id}: ${text}`;
  const { rolloutId } = record;
  if (record.supersededBy !== null) return about(rolloutId, `superseded by ${record.supersededBy}`);
  switch (record.kind) {
    case "Pending":
      return about(
        rolloutId,
        record.lastReject === null ? "Pending" : `Pending; rejected: ${record.lastReject.reason}`,
      );
    case "Activating":
      return about(rolloutId, `Activating for ${ago(record.ackedAt)}, start ${record.starts}`);
    case "Deferred":
      return about(rolloutId, `Deferred: boots into it at the next reboot (${record.component})`);
    case "Soaking":
      return about(
        rolloutId,
        `Soaking for ${ago(record.activationCompletedAt)} of ${minutes(record.terms.soakSecs)}`,
      );
    case "Converged":
      return about(rolloutId, `Converged ${ago(record.convergedAt)} ago`);
    case "Failed":
      return about(rolloutId, failedText(record, ago(record.failedAt)));
    case "Reverted":
      return about(rolloutId, `Reverted to ${record.revertedTo} ${ago(record.revertedAt)} ago`);
  }
}

function failedText(record: HostRollout & { readonly kind: "Failed" }, ago: string): string {
  const probes = record.failingProbes.length === 0 ? "" : `, ${record.failingProbes.join(", ")}`;
  const rollback = {
    none: "nothing is rolled back",
    owed: "its rollback is under way",
    failed: "its rollback failed and is tried again",
  }[record.rollback];
  return `Failed ${ago} ago (${record.cause}${probes}); ${rollback}`;
}

const refusalText = ({ rolloutId, code, reason, at }: NonNullable<Status["lastRefusal"]>) =>
  `${rolloutId} at ${at}${code === null ? "" : ` (${code})`}: ${reason}`;

export function renderStatus(status: Status): string {
  const { outbox, hold } = status;
  const rows: readonly (readonly [string, string])[] = [
    ["host", `${status.host}, channel ${status.channel}`],
    ["rollout", status.says],
    ...(status.identity === null ? [] : [["identity", status.identity.says] as const]),
    ...(status.trust === null ? [] : trustRows(status.trust)),
    ["known good", status.knownGood ?? "none yet"],
    ["held", hold === null ? "no" : `until ${hold.until}: ${hold.reason}`],
    ["outbox", `${outbox.unacknowledged} to send, ${outbox.rows} kept, ${outbox.refused} refused`],
    ...status.refusedEvents
      .slice(-5)
      .map(
        ({ rolloutId, seq, kind, code }) =>
          ["refused", `${rolloutId} ${seq} ${kind}: ${code}`] as const,
      ),
    ...(status.lastRefusal === null
      ? []
      : [["rejected", refusalText(status.lastRefusal)] as const]),
    ...(status.opaqueRecords === 0
      ? []
      : [["left alone", `${status.opaqueRecords} records of a newer version`] as const]),
    ...(status.trouble === null ? [] : [["trouble", status.trouble] as const]),
  ];
  return rows.map(([name, text]) => `${name.padEnd(12)}${text}`).join("\n");
}
