import { type Instant, instant } from "@nixwave/effects";
import type { Connection } from "../store/database.ts";
import { NONCES_SINCE } from "../store/identity.ts";

const SECOND_MS = 1000;

/** Tokens are dated by whole seconds. One of the second in which a new fleet's database is made is taken. */
export const startOfSecond = (now: Instant): Instant =>
  instant(Math.floor(now / SECOND_MS) * SECOND_MS);
/** One of the second of a loss may have been used before it: it is refused. */
export const nextSecond = (now: Instant): Instant => instant(startOfSecond(now) + SECOND_MS);

/** Join tokens from before `since` may have been used without this database's knowing, and are refused (hazard 68). */
export function markNoncesSince(db: Connection, since: Instant): void {
  db.prepare("INSERT OR REPLACE INTO marks (name, at) VALUES (?, ?)").run(NONCES_SINCE, since);
}
