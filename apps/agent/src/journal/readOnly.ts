import { existsSync } from "node:fs";
import { join } from "node:path";
import BetterSqlite3 from "better-sqlite3";

const TABLES = ["meta", "known_good", "host_rollouts", "transitions", "outbox"] as const;

/** Every row of the journal as it is stored, whoever else has it open. Throws a sentence where there is none. */
export function readJournalLines(
  stateDir: string,
): readonly { readonly table: string; readonly row: unknown }[] {
  const path = join(stateDir, "agent.db");
  if (!existsSync(path))
    throw new Error(`There is no journal at ${path}. It is made by the first nixwave-agent run.`);
  const db = new BetterSqlite3(path, { readonly: true });
  try {
    return TABLES.flatMap((table) =>
      db
        .prepare<[], unknown>(`SELECT * FROM ${table}`)
        .all()
        .map((row) => ({ table, row })),
    );
  } finally {
    db.close();
  }
}
