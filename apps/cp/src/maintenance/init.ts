import { mkdirSync } from "node:fs";
import { createDatabase, databasePath } from "../store/database.ts";

/** `nixwave-cp init`: makes the folder and the database of a new fleet. `serve` never makes one silently. */
export function init(dataDir: string): { readonly path: string } {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = databasePath(dataDir);
  createDatabase(path);
  return { path };
}
