import { isInstant, type Release } from "@nixwave/effects";
import {
  attempt,
  bootId,
  channel,
  closureHash,
  gateName,
  hostName,
  journalId,
  LEAVING,
  lastSeq,
  offset,
  rolloutIdText,
  seq,
  sha256Text,
  storedDispatch,
  storedFreeze,
  storedHostMarks,
  storedHostRollout,
  storedRollout,
} from "@nixwave/protocol";
import { z } from "zod";
import { EMPTY_LOG, type LogHeadPosition, offsetAfter } from "../log/segment.ts";
import type { Connection } from "./database.ts";
import {
  certificateRow,
  type IdentityRecords,
  LAST_ISSUED,
  markRow,
  NONCES_SINCE,
  nonceRow,
} from "./identity.ts";
import { storedRelease } from "./releaseRow.ts";
import type { Loaded, LoadedHost } from "./store.ts";

/** Row decoders: a row that does not fit its schema stops the start with its table, it is never skipped (hazard 75). */
const at = z.number().refine(isInstant);

/** A column that holds JSON: what is wrong in it is an issue of the row, so that the message can name the table. */
const jsonOf = <T>(schema: z.ZodType<T, unknown>) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: "custom", message: "not JSON" });
        return z.NEVER;
      }
    })
    .pipe(schema);

const bodyOf = <T>(schema: z.ZodType<T, unknown>) =>
  z.object({ body: jsonOf(schema) }).transform(({ body }) => body);

export const storedReport = z
  .object({
    currentClosure: closureHash.nullable(),
    bootId,
    agentVersion: z.string(),
    leaving: z.enum(LEAVING).nullable(),
    streams: z
      .array(z.object({ rolloutId: rolloutIdText, attempt, lastSeq }).readonly())
      .readonly(),
    clockSkewSecs: z.number(),
    diskFreeBytes: z.number().nullable(),
    /** Rows from before it was told have none. */
    waitsFor: z.string().nullable().default(null),
  })
  .readonly();

const quarantineRow = z
  .object({ channel, closure: closureHash, since: at })
  .transform((row) => ({ kind: "QuarantineInserted" as const, ...row }));
const streamRow = z
  .object({
    host: hostName,
    rollout_id: rolloutIdText,
    journal_id: journalId,
    last_seq: seq,
    last_hash: sha256Text,
  })
  .transform((row) => ({
    kind: "StreamAdvanced" as const,
    host: row.host,
    rolloutId: row.rollout_id,
    journalId: row.journal_id,
    lastSeq: row.last_seq,
    lastHash: row.last_hash,
  }));
const gateRow = z
  .object({ rollout_id: rolloutIdText, gate: gateName, since: at })
  .transform(({ rollout_id, gate, since }) => ({ rolloutId: rollout_id, gate, since }));
const channelRow = z
  .object({
    channel,
    current: rolloutIdText.nullable(),
    verified_at: at.nullable(),
    unverified_reason: z.string().nullable(),
    unverified_since: at.nullable(),
  })
  .transform((row) => ({
    channel: row.channel,
    current: row.current,
    verifiedAt: row.verified_at,
    unverified:
      row.unverified_reason === null || row.unverified_since === null
        ? null
        : { reason: row.unverified_reason, since: row.unverified_since },
  }));
const hostRow = z.object({
  host: hostName,
  last_heard_at: at,
  report: jsonOf(storedReport).nullable(),
  foreign_head: sha256Text.nullable(),
});
const journalRow = z.object({ host: hostName, journal_id: journalId, began_at: at });
const replayRow = z.object({ channel, since: at });
const revokedRow = z.object({ host: hostName });
const headRow = z.object({ first_offset: offset, count: z.int(), hash: sha256Text });

/** All rows of one query, decoded; the message names the query's table. */
function decoded<T>(
  db: Connection,
  table: string,
  query: { readonly schema: z.ZodType<T, unknown>; readonly sql: string },
): readonly T[] {
  return db
    .prepare(query.sql)
    .all()
    .map((row) => {
      const read = query.schema.safeParse(row);
      if (read.success) return read.data;
      throw new Error(
        `A row of the table ${table} is not what this nixwave-cp knows: ${read.error.issues[0]?.message ?? "unreadable"}. Run nixwave-cp check.`,
        { cause: read.error },
      );
    });
}

export function loadHead(db: Connection): LogHeadPosition {
  const last = decoded(db, "log_segments", {
    schema: headRow,
    sql: "SELECT first_offset, count, hash FROM log_segments ORDER BY first_offset DESC LIMIT 1",
  })[0];
  if (last === undefined) return EMPTY_LOG;
  const { first_offset: first, count, hash } = last;
  return { next: offsetAfter(first, count), last: offsetAfter(first, count - 1), hash };
}

/** Everything at once, in one read transaction, so that it is one state (hazard 69). */
export const load = (db: Connection): Loaded => db.transaction(() => readAll(db)).deferred();

function readAll(db: Connection): Loaded {
  const bodies = <T>(table: string, schema: z.ZodType<T, unknown>, order: string) =>
    decoded(db, table, {
      schema: bodyOf(schema),
      sql: `SELECT body FROM ${table} ORDER BY ${order}`,
    });
  const rows = <T>(table: string, schema: z.ZodType<T, unknown>, order = "1, 2") =>
    decoded(db, table, { schema, sql: `SELECT * FROM ${table} ORDER BY ${order}` });
  return {
    head: loadHead(db),
    releases: loadReleases(db),
    channels: rows("channels", channelRow),
    rollouts: bodies("rollouts", storedRollout, "opened_at, rollout_id"),
    marks: bodies("rollout_hosts", storedHostMarks, "rollout_id, host"),
    records: bodies("host_rollouts", storedHostRollout, "dispatched_at, rollout_id, host"),
    dispatches: bodies("dispatches", storedDispatch, "offset, host"),
    quarantines: rows("quarantines", quarantineRow, "offset"),
    freezes: bodies("freezes", storedFreeze, "offset"),
    streams: rows("streams", streamRow),
    gates: rows("gates", gateRow),
    hosts: loadHosts(db),
    revoked: rows("revocations", revokedRow, "host").map((row) => row.host),
    replayGates: rows("replay_gates", replayRow),
    identity: loadIdentity(db),
  };
}

function loadIdentity(db: Connection): IdentityRecords {
  const issued = decoded(db, "certificates", { schema: certificateRow, sql: LAST_ISSUED });
  const nonces = decoded(db, "nonces", { schema: nonceRow, sql: "SELECT * FROM nonces" });
  const [since] = decoded(db, "marks", {
    schema: markRow,
    sql: `SELECT at FROM marks WHERE name = '${NONCES_SINCE}'`,
  });
  return {
    lastIssued: new Map(issued.map((certificate) => [certificate.host, certificate])),
    nonces: new Map(nonces.map((nonce) => [nonce.nonce, nonce])),
    noncesSince: since ?? null,
  };
}

/** The oldest first. */
export const loadReleases = (db: Connection): readonly Release[] =>
  decoded(db, "releases", {
    schema: bodyOf(storedRelease),
    sql: "SELECT body FROM releases ORDER BY created_at, rollout_id",
  });

function loadHosts(db: Connection): readonly LoadedHost[] {
  const heard = new Map(
    decoded(db, "hosts", { schema: hostRow, sql: "SELECT * FROM hosts" }).map((row) => [
      row.host,
      row,
    ]),
  );
  const journals = decoded(db, "host_journals", {
    schema: journalRow,
    sql: "SELECT host, journal_id, began_at FROM host_journals ORDER BY host, place",
  });
  const byHost = Map.groupBy(journals, (row) => row.host);
  return [...byHost].map(([host, began]) => {
    const row = heard.get(host) ?? null;
    return {
      host,
      lastHeardAt: row?.last_heard_at ?? null,
      report: row?.report ?? null,
      foreignHead: row?.foreign_head ?? null,
      journals: began.map((journal) => ({
        journalId: journal.journal_id,
        beganAt: journal.began_at,
      })),
    };
  });
}
