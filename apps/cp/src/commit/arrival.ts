import { type HostName, type HostReport, hostForgot, type JournalId } from "@nixwave/effects";
import type { Refused } from "../command.ts";
import type { KnownHost } from "../store/memory.ts";
import type { Draft } from "./draft.ts";

/**
 * Any authenticated request of an agent: it was heard, under its current journal or under a new one. A new one is committed before the
 * answer, with what it means for records that are not settled; one that was current before is refused (409).
 */
export function arrive(
  draft: Draft,
  from: { readonly host: HostName; readonly journalId: JournalId },
  report: HostReport | null,
): Refused | KnownHost {
  const { host, journalId } = from;
  const known = draft.memory.hosts.get(host) ?? begin(draft, host);
  if (known.journals.at(-1) !== journalId) {
    if (known.journals.includes(journalId)) return oldJournal(host, journalId);
    draft.append({ kind: "JournalChanged", host, journalId });
    draft.observe({ kind: "JournalBegan", host, journalId, at: draft.now });
    const forgotten = hostForgot(draft.memory.fleet, host, journalId, draft.now);
    heard(draft, from, { known, report });
    known.journals.push(journalId);
    for (const input of forgotten) draft.input(input);
    return known;
  }
  heard(draft, from, { known, report });
  return known;
}

function begin(draft: Draft, host: HostName): KnownHost {
  const known: KnownHost = {
    journals: [],
    lastHeardAt: null,
    report: null,
    foreignHead: null,
    logAsked: null,
  };
  draft.memory.hosts.set(host, known);
  return known;
}

function heard(
  { memory, now }: Draft,
  { host, journalId }: { readonly host: HostName; readonly journalId: JournalId },
  { known, report }: { readonly known: KnownHost; readonly report: HostReport | null },
): void {
  memory.fleet.apply({ kind: "HostHeard", host, journalId, at: now, report });
  known.lastHeardAt = now;
  if (report !== null) known.report = report;
  memory.unstored.add(host);
}

const oldJournal = (host: HostName, journalId: JournalId): Refused => ({
  kind: "refused",
  code: "old-journal",
  sentence: `${host} has begun a newer journal than ${journalId}: start a new one.`,
});
