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

export function openReadOnly(file: string): Database.Database {
  return new Database(file, { readonly: true, fileMustExist: true });
}

export function texts(db: Database.Database, sql: string, ...values: string[]): readonly string[] {
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

/** What became of one host, with its name taken out: hosts of different fleets can be compared. */
export function endOfHost(end: FleetEnd, host: string): Readonly<Record<string, string>> {
  const named = [
    ...Object.entries(end.mirror).map(([key, text]) => [`mirror of ${key}`, text] as const),
    ...Object.entries(end.journal).map(([key, text]) => [`journal of ${key}`, text] as const),
    ...Object.entries(end.running).map(([key, text]) => [`running of ${key} `, text] as const),
  ];
  const own = named.filter(([key]) => key.includes(` of ${host} `));
  return Object.fromEntries(
    own.map(([key, text]) => [key.replace(host, "HOST"), text.replaceAll(host, "HOST")]),
  );
}

/** A closure without its hash, which holds the port of the run's service. */
const closureEnd = (closure: string): string => closure.slice(33);
