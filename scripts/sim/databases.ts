import { migrateJournal } from "@nixwave/agent";
import { CP_MIGRATIONS, CP_SCHEMA_VERSION } from "@nixwave/cp";
import Database from "better-sqlite3";

export type Db = Database.Database;

/** A database that was migrated once is copied for every process of every world: as bytes, that is a hundred times cheaper. */
function template(prepare: (db: Db) => void): () => Db {
  let bytes: Buffer | null = null;
  return () => {
    if (bytes === null) {
      const db = new Database(":memory:");
      prepare(db);
      bytes = db.serialize();
      db.close();
    }
    return new Database(bytes);
  };
}

const migratedJournal = template(migrateJournal);
export const newJournalDb = (): Db => keepingStatements(migratedJournal());

export const newControlPlaneDb: () => Db = template((db) => {
  for (const step of CP_MIGRATIONS) db.exec(step);
  db.pragma(`user_version = ${CP_SCHEMA_VERSION}`);
});

/** The journal prepares each statement anew, which a host never notices and a fleet in one process does. */
export function keepingStatements(db: Db): Db {
  const kept = new Map<string, ReturnType<Db["prepare"]>>();
  const prepare = db.prepare.bind(db);
  const keep = (sql: string) => {
    const known = kept.get(sql);
    if (known !== undefined) return known;
    const made = prepare(sql);
    kept.set(sql, made);
    return made;
  };
  Object.defineProperty(db, "prepare", { value: keep });
  return db;
}

export const copyOf = (db: Db): Db => new Database(db.serialize());
