import {
  type Channel,
  type ClosureHash,
  type Dispatch,
  type Freeze,
  HOST_STATES,
  type HostMarks,
  type HostName,
  type HostReport,
  type HostRollout,
  type HostState,
  type Instant,
  isInstant,
  type JournalId,
  type Offset,
  type Rollout,
  type RolloutId,
  type RolloutState,
} from "@nixwave/effects";
import {
  channel,
  closureHash,
  hostName,
  journalId,
  offset,
  rolloutIdText,
  storedDispatch,
  storedFreeze,
  storedHostMarks,
  storedHostRollout,
  storedRollout,
} from "@nixwave/protocol";
import { z } from "zod";
import type { LogFilter, LogPage } from "../log/eventLog.ts";
import { sqliteLog } from "../log/sqliteLog.ts";
import { openReadOnly } from "./database.ts";
import { storedReport } from "./load.ts";

/**
 * Reads of committed rows, over a connection of its own: never blocks the writer, never sees half a commit.
 * Whatever needs a decision (explainHost, waiting) is asked of `writer.fleet()` instead: the same gates, on read (hazard 72).
 */
export interface Reader {
  /** Newest first. */
  rollouts(filter: {
    readonly channel?: Channel;
    readonly state?: RolloutState;
  }): readonly Rollout[];
  rollout(rolloutId: RolloutId): Rollout | null;
  /** By host name, after `after`, at most `limit`. */
  recordsOf(rolloutId: RolloutId, page: HostPage): readonly HostRollout[];
  marksOf(rolloutId: RolloutId): readonly HostMarks[];
  /** Every record of a host, newest dispatch first. */
  recordsOfHost(host: HostName): readonly HostRollout[];
  dispatchesOfHost(host: HostName): readonly Dispatch[];
  /** Oldest first, after offset `after` (null: from the start). */
  transitions(filter: {
    readonly host: HostName;
    readonly rolloutId?: RolloutId;
    readonly after: Offset | null;
    readonly limit: number;
  }): readonly StoredTransition[];
  quarantines(): readonly Quarantine[];
  freezes(): readonly Freeze[];
  hosts(page: HostPage): readonly StoredHost[];
  host(host: HostName): StoredHost | null;
  /** One page of the log; `next` is where the next page begins, also when nothing matched. */
  events(filter: LogFilter, page: { readonly from: Offset; readonly limit: number }): LogPage;
  /** The first position that the log still has. */
  logBeginsAt(): Offset;
  close(): void;
}

interface HostPage {
  readonly after: HostName | null;
  readonly limit: number;
}

export interface StoredTransition {
  readonly offset: Offset;
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly from: HostState;
  readonly to: HostState;
  /** The CP's clock. */
  readonly at: Instant;
}

interface Quarantine {
  readonly channel: Channel;
  readonly closure: ClosureHash;
  readonly since: Instant;
}

/** Observed, at most 30 s old: what the host last said of itself. */
export interface StoredHost {
  readonly host: HostName;
  readonly lastHeardAt: Instant;
  readonly report: HostReport | null;
  /** In the order in which they began; the last one is current. */
  readonly journals: readonly { readonly journalId: JournalId; readonly beganAt: Instant }[];
}

const PAGE_MAX = 10_000;

/** Opens the views' connection. Each answer is one statement, so each is one state of the database. */
export function openReader(path: string): Reader {
  const db = openReadOnly(path);
  const log = sqliteLog(db);
  const bodies = <T>(schema: z.ZodType<T, unknown>, sql: string, values: readonly unknown[]) =>
    db
      .prepare(sql)
      .pluck()
      .all(...values)
      .map((body) => schema.parse(JSON.parse(String(body))));
  const limited = (limit: number): number => Math.min(limit, PAGE_MAX);
  return {
    rollouts: ({ channel, state }) =>
      bodies(
        storedRollout,
        `SELECT body FROM rollouts WHERE (@channel IS NULL OR channel = @channel) AND (@state IS NULL OR state = @state)
          ORDER BY opened_at DESC, rollout_id`,
        [{ channel: channel ?? null, state: state ?? null }],
      ),
    rollout: (rolloutId) =>
      bodies(storedRollout, "SELECT body FROM rollouts WHERE rollout_id = ?", [rolloutId])[0] ??
      null,
    recordsOf: (rolloutId, { after, limit }) =>
      bodies(
        storedHostRollout,
        "SELECT body FROM host_rollouts WHERE rollout_id = ? AND host > ? ORDER BY host LIMIT ?",
        [rolloutId, after ?? "", limited(limit)],
      ),
    marksOf: (rolloutId) =>
      bodies(storedHostMarks, "SELECT body FROM rollout_hosts WHERE rollout_id = ? ORDER BY host", [
        rolloutId,
      ]),
    recordsOfHost: (host) =>
      bodies(
        storedHostRollout,
        "SELECT body FROM host_rollouts WHERE host = ? ORDER BY dispatched_at DESC, rollout_id",
        [host],
      ),
    dispatchesOfHost: (host) =>
      bodies(storedDispatch, "SELECT body FROM dispatches WHERE host = ? ORDER BY offset DESC", [
        host,
      ]),
    transitions: ({ host, rolloutId, after, limit }) =>
      db
        .prepare(
          `SELECT * FROM transitions WHERE host = @host AND offset > @after AND (@rolloutId IS NULL OR rollout_id = @rolloutId)
            ORDER BY offset LIMIT @limit`,
        )
        .all({ host, after: after ?? -1, rolloutId: rolloutId ?? null, limit: limited(limit) })
        .map((row) => transitionRow.parse(row)),
    quarantines: () =>
      db
        .prepare("SELECT channel, closure, since FROM quarantines ORDER BY channel, closure")
        .all()
        .map((row) => quarantineRow.parse(row)),
    freezes: () => bodies(storedFreeze, "SELECT body FROM freezes ORDER BY offset", []),
    hosts: ({ after, limit }) =>
      db
        .prepare(`${HOSTS} WHERE hosts.host > ? ORDER BY hosts.host LIMIT ?`)
        .all(after ?? "", limited(limit))
        .map((row) => storedHost.parse(row)),
    host(host) {
      const row = db.prepare(`${HOSTS} WHERE hosts.host = ?`).get(host);
      return row === undefined ? null : storedHost.parse(row);
    },
    events: (filter, page) =>
      db.transaction(() => log.read(filter, { ...page, limit: limited(page.limit) })).deferred(),
    logBeginsAt: () => log.beginsAt(),
    close: () => void db.close(),
  };
}

const at = z.number().refine(isInstant);
const quarantineRow = z.object({ channel, closure: closureHash, since: at });
const transitionRow = z
  .object({
    offset,
    host: hostName,
    rollout_id: rolloutIdText,
    from_state: z.enum(HOST_STATES),
    to_state: z.enum(HOST_STATES),
    at,
  })
  .transform((row) => ({
    offset: row.offset,
    host: row.host,
    rolloutId: row.rollout_id,
    from: row.from_state,
    to: row.to_state,
    at: row.at,
  }));

const HOSTS = `SELECT host, last_heard_at, report,
  (SELECT json_group_array(json_object('journalId', journal_id, 'beganAt', began_at))
    FROM (SELECT * FROM host_journals WHERE host_journals.host = hosts.host ORDER BY place)) AS journals
  FROM hosts`;
const storedHost = z
  .object({
    host: hostName,
    last_heard_at: at,
    report: z.string().nullable(),
    journals: z.string(),
  })
  .transform((row) => ({
    host: row.host,
    lastHeardAt: row.last_heard_at,
    report: row.report === null ? null : storedReport.parse(JSON.parse(row.report)),
    journals: z.array(z.object({ journalId, beganAt: at })).parse(JSON.parse(row.journals)),
  }));
