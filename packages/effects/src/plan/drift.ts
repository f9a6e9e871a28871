import type { HostRollout } from "../host/state.ts";
import type { ClosureHash } from "../ids.ts";
import type { Instant } from "../time.ts";
import type { HostEntry, Member } from "./member.ts";

/**
 * What is known to run on a host, or null: by its last heartbeat, or by an event of its stream that is newer. Which of the two
 * came later the stream's number says, since the host's clock is not the CP's. A heartbeat from before this CP was ready is no
 * evidence: much may have happened since.
 */
export function runningOn(host: HostEntry, readyAt: Instant): ClosureHash | null {
  const { report, reportAt } = host;
  const record = newestAcked(host);
  if (record !== null && "currentClosure" in record && !isReported(host, record))
    return record.currentClosure;
  return report !== null && reportAt !== null && reportAt >= readyAt ? report.currentClosure : null;
}

/** The same for people, who see beside it when the host was last heard: better old than nothing. */
export const lastKnown = (host: HostEntry | null, readyAt: Instant): ClosureHash | null =>
  host === null ? null : (runningOn(host, readyAt) ?? host.report?.currentClosure ?? null);

/** Converged, and known to run something else since. */
export function hasDrifted({ record, host }: Member, readyAt: Instant): boolean {
  if (record?.kind !== "Converged") return false;
  const running = runningOn(host, readyAt);
  return running !== null && running !== record.currentClosure;
}

/** Whether the last heartbeat was written after the record's last event. */
function isReported({ report, reportAt, journals }: HostEntry, record: HostRollout): boolean {
  const begun = journals.at(-1)?.since ?? null;
  if (report === null || reportAt === null || begun === null || reportAt < begun) return false;
  // A journal always lists its newest stream, so a heartbeat without it is from before the host acknowledged this rollout.
  const stream = report.streams.find(({ rolloutId }) => rolloutId === record.rolloutId);
  return stream !== undefined && stream.lastSeq >= record.lastSeq;
}

/** An agent never acknowledges an older release than its newest. */
function newestAcked({ members, journalId }: HostEntry): HostRollout | null {
  let newest: Member | null = null;
  for (const member of members.values()) {
    const { record, rollout } = member;
    if (record === null || record.kind === "Pending" || record.journalId !== journalId) continue;
    if (newest === null || rollout.createdAt >= newest.rollout.createdAt) newest = member;
  }
  return newest?.record ?? null;
}
