import { mkdirSync } from "node:fs";
import type { Instant } from "@nixwave/effects";
import { createDatabase, databasePath } from "../store/database.ts";
import { markNoncesSince, startOfSecond } from "./noncesSince.ts";

/** `nixwave-cp init`: makes the folder and the database of a new fleet. `serve` never makes one silently. */
export function init(dataDir: string, now: Instant): { readonly path: string } {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = databasePath(dataDir);
  createDatabase(path, (db) => markNoncesSince(db, startOfSecond(now)));
  return { path };
}
