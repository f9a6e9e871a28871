import { type Handlers, interpret, type Offset, type RolloutId } from "@nixwave/effects";
import {
  storedDispatch,
  storedFreeze,
  storedHostMarks,
  storedHostRollout,
  storedRollout,
} from "@nixwave/protocol";
import type { Database, Statement } from "better-sqlite3";
import type { DerivedChange, Observation, Stamped } from "./change.ts";
import { storedRelease } from "./releaseRow.ts";

/** Prepared once per connection and text. */
export type Prepare = (sql: string) => Statement;

export function preparing(db: Database): Prepare {
  const prepared = new Map<string, Statement>();
  return (sql) => {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    const made = db.prepare(sql);
    prepared.set(sql, made);
    return made;
  };
}

interface RowContext {
  readonly sql: Prepare;
  readonly offset: Offset;
}

/** A schema's parse orders the fields, so that equal values are equal bytes however they were come by. */
interface Bodied {
  parse(value: unknown): unknown;
}
const body = (schema: Bodied, value: unknown): string => JSON.stringify(schema.parse(value));

const nothing = (): void => undefined;

const UPSERT_CHANNEL = `INSERT INTO channels (channel, current, verified_at, unverified_code, unverified_reason, unverified_since, offset)
  VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (channel) DO UPDATE SET`;

/** Of a pruned rollout only its own row is left: memory has forgotten its hosts too. */
function dropRowsOf(rolloutId: RolloutId, sql: Prepare): void {
  for (const table of [
    "rollout_hosts",
    "host_rollouts",
    "transitions",
    "dispatches",
    "streams",
    "gates",
  ])
    sql(`DELETE FROM ${table} WHERE rollout_id = ?`).run(rolloutId);
}

/** One change, the rows of its table. Those that are known in memory only write nothing. */
const CHANGE_ROWS: Handlers<DerivedChange, RowContext, void> = {
  ReleaseVerified({ release, current, at }, { sql, offset }) {
    if (!current) return;
    sql(
      `${UPSERT_CHANNEL} current = excluded.current, verified_at = excluded.verified_at, offset = excluded.offset`,
    ).run(release.channel, release.rolloutId, at, null, null, null, offset);
  },
  ChannelUnverified({ channel, reason, since }, { sql, offset }) {
    sql(
      `${UPSERT_CHANNEL} unverified_reason = excluded.unverified_reason, unverified_since = excluded.unverified_since, offset = excluded.offset`,
    ).run(channel, null, null, null, reason, reason === null ? null : since, offset);
  },
  RolloutChanged({ rollout }, { sql, offset }) {
    sql(
      "INSERT OR REPLACE INTO rollouts (rollout_id, channel, opened_at, state, body, offset) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(
      rollout.rolloutId,
      rollout.channel,
      rollout.openedAt,
      rollout.kind,
      body(storedRollout, rollout),
      offset,
    );
    if (rollout.kind === "Pruned") dropRowsOf(rollout.rolloutId, sql);
  },
  MarksChanged({ marks }, { sql, offset }) {
    sql(
      "INSERT OR REPLACE INTO rollout_hosts (rollout_id, host, body, offset) VALUES (?, ?, ?, ?)",
    ).run(marks.rolloutId, marks.host, body(storedHostMarks, marks), offset);
  },
  RecordChanged({ record }, { sql, offset }) {
    sql(
      "INSERT OR REPLACE INTO host_rollouts (rollout_id, host, dispatched_at, state, body, offset) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(
      record.rolloutId,
      record.host,
      record.dispatchedAt,
      record.kind,
      body(storedHostRollout, record),
      offset,
    );
  },
  DispatchChanged({ dispatch }, { sql, offset }) {
    sql(
      "INSERT OR REPLACE INTO dispatches (host, rollout_id, attempt, state, body, offset) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(
      dispatch.host,
      dispatch.rolloutId,
      dispatch.attempt,
      dispatch.state,
      body(storedDispatch, dispatch),
      offset,
    );
  },
  QuarantineInserted({ channel, closure, since }, { sql, offset }) {
    sql("INSERT INTO quarantines (channel, closure, since, offset) VALUES (?, ?, ?, ?)").run(
      channel,
      closure,
      since,
      offset,
    );
  },
  QuarantineRemoved({ channel, closure }, { sql }) {
    sql("DELETE FROM quarantines WHERE channel = ? AND closure = ?").run(channel, closure);
  },
  FreezeInserted({ freeze }, { sql, offset }) {
    sql("INSERT INTO freezes (freeze_id, body, offset) VALUES (?, ?, ?)").run(
      freeze.freezeId,
      body(storedFreeze, freeze),
      offset,
    );
  },
  FreezeRemoved({ freezeId }, { sql }) {
    sql("DELETE FROM freezes WHERE freeze_id = ?").run(freezeId);
  },
  HostHeard: nothing,
  HostRevoked: nothing,
  ReplayBegan: nothing,
  HostReplayed: nothing,
  ReplayEnded: nothing,
  TransitionRecorded({ host, rolloutId, from, to, at }, { sql, offset }) {
    sql(
      "INSERT INTO transitions (offset, host, rollout_id, from_state, to_state, at) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(offset, host, rolloutId, from, to, at);
  },
  StreamAdvanced({ host, rolloutId, journalId, lastSeq, lastHash }, { sql, offset }) {
    sql(
      "INSERT OR REPLACE INTO streams (host, rollout_id, journal_id, last_seq, last_hash, offset) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(host, rolloutId, journalId, lastSeq, lastHash, offset);
  },
  GateMoved({ rolloutId, gate, since }, { sql, offset }) {
    if (since === null) {
      sql("DELETE FROM gates WHERE rollout_id = ? AND gate = ?").run(rolloutId, gate);
      return;
    }
    sql("INSERT OR REPLACE INTO gates (rollout_id, gate, since, offset) VALUES (?, ?, ?, ?)").run(
      rolloutId,
      gate,
      since,
      offset,
    );
  },
};

export function writeChange(sql: Prepare, { change, offset }: Stamped): void {
  interpret(CHANGE_ROWS, change, { sql, offset });
}

/** A token lives for a month at most, and an expired one is refused whether its nonce is known or not. */
const NONCE_KEPT_MS = 90 * 86_400_000;
/** For whoever asks later who held which key; the newest of a host stays for ever. */
const CERTIFICATE_KEPT_MS = 400 * 86_400_000;

const OBSERVATION_ROWS: Handlers<Observation, Prepare, void> = {
  HostSeen({ host, lastHeardAt, report, foreignHead }, sql) {
    sql(
      "INSERT OR REPLACE INTO hosts (host, last_heard_at, report, foreign_head) VALUES (?, ?, ?, ?)",
    ).run(host, lastHeardAt, report === null ? null : JSON.stringify(report), foreignHead);
  },
  JournalBegan({ host, journalId, at }, sql) {
    sql(
      `INSERT INTO host_journals (host, journal_id, began_at, place)
        SELECT ?, ?, ?, coalesce(max(place), 0) + 1 FROM host_journals WHERE host = ?`,
    ).run(host, journalId, at, host);
  },
  ReleaseStored({ release }, sql) {
    sql(
      "INSERT OR IGNORE INTO releases (rollout_id, channel, created_at, body) VALUES (?, ?, ?, ?)",
    ).run(release.rolloutId, release.channel, release.createdAt, body(storedRelease, release));
  },
  ReplayGateSet({ channel, since }, sql) {
    if (since === null) sql("DELETE FROM replay_gates WHERE channel = ?").run(channel);
    else
      sql("INSERT OR IGNORE INTO replay_gates (channel, since) VALUES (?, ?)").run(channel, since);
  },
  RevocationsReplaced({ revoked }, sql) {
    sql("DELETE FROM revocations").run();
    for (const host of revoked) sql("INSERT INTO revocations (host) VALUES (?)").run(host);
  },
  // A plain insert is the lock: a nonce that is there already fails the transaction (hazard 67).
  NonceReserved({ nonce }, sql) {
    sql("DELETE FROM nonces WHERE expires_at < ?").run(nonce.expiresAt - NONCE_KEPT_MS);
    sql(
      "INSERT INTO nonces (nonce, host, request_digest, expires_at, is_answered) VALUES (?, ?, ?, ?, 0)",
    ).run(nonce.nonce, nonce.host, nonce.requestDigest, nonce.expiresAt);
  },
  CertificateIssued({ certificate, nonce }, sql) {
    const { host, serial, der, requestDigest, requestedAt, issuedAt, notAfter } = certificate;
    sql(
      `INSERT INTO certificates (host, serial, der, request_digest, requested_at, issued_at, not_after)
        VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ).run(host, serial, Buffer.from(der), requestDigest, requestedAt, issuedAt, notAfter);
    sql("DELETE FROM certificates WHERE host = ? AND not_after < ?").run(
      host,
      issuedAt - CERTIFICATE_KEPT_MS,
    );
    if (nonce !== null) sql("UPDATE nonces SET is_answered = 1 WHERE nonce = ?").run(nonce);
  },
  TokenUsed({ hash, at }, sql) {
    sql("UPDATE operator_tokens SET last_used_at = ? WHERE hash = ?").run(at, hash);
  },
};

export function writeObservation(sql: Prepare, observation: Observation): void {
  interpret(OBSERVATION_ROWS, observation, sql);
}
