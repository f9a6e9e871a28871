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

export const newControlPlaneDb: () => Db = template((db) => {
  for (const step of CP_MIGRATIONS) db.exec(step);
  db.pragma(`user_version = ${CP_SCHEMA_VERSION}`);
});
