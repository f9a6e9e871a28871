/** The one door of the app, for the simulator in scripts/sim: the real control plane, with every port in the caller's hands. */
export type { Answers, Command, CommandKind, CommandOf } from "./command.ts";
export { CRASH_POINTS as CP_CRASH_POINTS, type CrashPoint as CpCrashPoint } from "./crashPoint.ts";
export { agentHandlers } from "./inbound/agentHandlers.ts";
export type { AgentHandlers } from "./inbound/handlers.ts";
export { ParkedPolls } from "./inbound/parkedPolls.ts";
export type { AgentCaller } from "./inbound/principal.ts";
export { ProblemError } from "./inbound/problemError.ts";
export { RateLimit } from "./inbound/rateLimit.ts";
export { ReleaseWatch } from "./inbound/release.ts";
export { ServedReleases } from "./inbound/servedReleases.ts";
export { UnitLogs } from "./inbound/unitLogs.ts";
export { createWriter, type Writer } from "./loop.ts";
export { restore } from "./maintenance/backup.ts";
export { check, isClean, sayChecked } from "./maintenance/check.ts";
export { closeReplayGates, recover } from "./maintenance/recover.ts";
export type { Clock as CpClock, Crash as CpCrash, Timer as CpTimer } from "./ports.ts";
export type { Batch, DerivedChange } from "./store/change.ts";
export { createDatabase, openDatabase } from "./store/database.ts";
export { memoryFrom } from "./store/memory.ts";
export type { Reader } from "./store/reader.ts";
export {
  MIGRATIONS as CP_MIGRATIONS,
  SCHEMA_VERSION as CP_SCHEMA_VERSION,
} from "./store/schema.ts";
export { sqliteStore } from "./store/sqlite.ts";
export type { Loaded, Store } from "./store/store.ts";
