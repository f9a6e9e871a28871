import { readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import type { RolloutId } from "@nixwave/effects";
import Database from "better-sqlite3";
import type { DemoFleet } from "../demo/fleet.ts";

/**
 * How a fleet ended, judged from the control plane's database, the agents' journals and the hosts' links, never from log
 * output. Ids that differ from run to run (refs, closure hashes) are written as the version that was released.
 */
export interface FleetEnd {
  /** version → state. */
  readonly rollouts: Readonly<Record<string, string>>;
  /** `host version` → state and closure, as the CP's mirror and as the journal have it, and what the host really runs. */
  readonly mirror: Readonly<Record<string, string>>;
  readonly journal: Readonly<Record<string, string>>;
  readonly running: Readonly<Record<string, string>>;
}

/** The releases of a run, in order. */
export type Releases = ReadonlyMap<string, RolloutId>;

export function endOf(fleet: DemoFleet, releases: Releases): FleetEnd {
  const cp = openReadOnly(join(fleet.data, "cp.db"));
  try {
    const rollouts: Record<string, string> = {};
    const mirror: Record<string, string> = {};
    const journal: Record<string, string> = {};
    const running: Record<string, string> = {};
    for (const [version, id] of releases) {
      rollouts[version] = texts(
        cp,
        "SELECT state AS text FROM rollouts WHERE rollout_id = ?",
        id,
      ).join();
      for (const { name } of fleet.hosts) {
        const row = texts(
          cp,
          "SELECT body AS text FROM host_rollouts WHERE rollout_id = ? AND host = ?",
          id,
          name,
        )[0];
        if (row !== undefined) mirror[`${name} ${version}`] = recordEnd(row);
      }
    }
    for (const { name } of fleet.hosts) {
      running[name] = closureEnd(basename(readlinkSync(join(fleet.root(name), "current-system"))));
      const db = openReadOnly(join(fleet.stateDir(name), "agent.db"));
      for (const [version, id] of releases) {
        const row = texts(
          db,
          "SELECT record AS text FROM host_rollouts WHERE rollout_id = ?",
          id,
        )[0];
        if (row !== undefined) journal[`${name} ${version}`] = recordEnd(row);
      }
      db.close();
    }
    return { rollouts, mirror, journal, running };
  } finally {
    cp.close();
  }
}

/** `host rollout seq`, of every line that an agent's journal still keeps, and of every agent's line in the log. */
export interface Streams {
  readonly kept: readonly string[];
  readonly logged: ReadonlySet<string>;
  /** Lines that the log holds more than once. */
  readonly twice: readonly string[];
  /** The last number of each stream, as the journal has it and as the log has it. */
  readonly lastKept: Readonly<Record<string, number>>;
  readonly lastLogged: Readonly<Record<string, number>>;
}

interface StoredLine {
  readonly kind: string;
  readonly host?: string;
  readonly rolloutId?: string;
  readonly journalId?: string;
  readonly seq?: number;
}

export function streamsOf(fleet: DemoFleet): Streams {
  const logged = new Set<string>();
  const twice: string[] = [];
  const lastLogged: Record<string, number> = {};
  const cp = openReadOnly(join(fleet.data, "cp.db"));
  for (const text of texts(cp, "SELECT lines AS text FROM log_segments ORDER BY first_offset")) {
    for (const line of text.split("\n").filter((one) => one !== "")) {
      const place = streamPlace(JSON.parse(line));
      if (place === null) continue;
      const key = `${place.stream} ${place.seq}`;
      if (logged.has(key)) twice.push(key);
      logged.add(key);
      lastLogged[place.stream] = Math.max(lastLogged[place.stream] ?? 0, place.seq);
    }
  }
  cp.close();
  const kept: string[] = [];
  const lastKept: Record<string, number> = {};
  for (const { name } of fleet.hosts) {
    const db = openReadOnly(join(fleet.stateDir(name), "agent.db"));
    const journalId = texts(
      db,
      "SELECT json_extract(value, '$') AS text FROM meta WHERE key = 'journalId'",
    ).join();
    for (const row of texts(
      db,
      "SELECT rollout_id || ' ' || seq AS text FROM outbox ORDER BY position",
    ))
      kept.push(`${name} ${journalId} ${row}`);
    for (const row of texts(
      db,
      "SELECT rollout_id || ' ' || json_extract(record, '$.lastSeq') AS text FROM host_rollouts",
    )) {
      const [rollout = "", seq = "0"] = row.split(" ");
      if (seq !== "0") lastKept[`${name} ${journalId} ${rollout}`] = Number(seq);
    }
    db.close();
  }
  return { kept, logged, twice, lastKept, lastLogged };
}

/** An agent's event, or a line that was refused before it could be one: both use up a number of the stream. */
function streamPlace({ kind, host, journalId, rolloutId, seq }: StoredLine): Place | null {
  if ((kind !== "AgentEvent" && kind !== "EventRefused") || seq === undefined) return null;
  return { stream: `${host} ${journalId} ${rolloutId}`, seq };
}

interface Place {
  readonly stream: string;
  readonly seq: number;
}

function openReadOnly(file: string): Database.Database {
  return new Database(file, { readonly: true, fileMustExist: true });
}

function texts(db: Database.Database, sql: string, ...values: string[]): readonly string[] {
  const rows = db.prepare<string[], { readonly text: string }>(sql).all(...values);
  return rows.map(({ text }) => String(text));
}

interface StoredRecord {
  readonly kind: string;
  readonly targetClosure: string;
  readonly supersededBy: string | null;
  readonly revertedTo?: string;
  readonly currentClosure?: string;
}

function recordEnd(body: string): string {
  const record: StoredRecord = JSON.parse(body);
  const on = record.revertedTo ?? record.currentClosure ?? null;
  const parts = [
    record.kind,
    record.supersededBy === null ? "" : "superseded",
    `target ${closureEnd(record.targetClosure)}`,
    on === null ? "" : `on ${closureEnd(on)}`,
  ];
  return parts.filter((part) => part !== "").join(" ");
}

/** A closure without its hash, which holds the port of the run's service. */
const closureEnd = (closure: string): string => closure.slice(33);
