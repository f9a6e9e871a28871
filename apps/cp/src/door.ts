/** The one door of the app, for the simulator in scripts/sim: the real control plane, with every port in the caller's hands. */
export type { Answers, Command, CommandKind, CommandOf, Submit } from "./command.ts";
export type { LogRetention } from "./config.ts";
export { CRASH_POINTS as CP_CRASH_POINTS, type CrashPoint as CpCrashPoint } from "./crashPoint.ts";
export { agentHandlers } from "./inbound/agentHandlers.ts";
export type { AgentHandlers } from "./inbound/handlers.ts";
export { directoryFiles, type MirroredFiles } from "./inbound/mirroredFiles.ts";
export { ParkedPolls } from "./inbound/parkedPolls.ts";
export type { AgentCaller } from "./inbound/principal.ts";
export { ProblemError } from "./inbound/problemError.ts";
export { RateLimit } from "./inbound/rateLimit.ts";
export { ReleaseWatch } from "./inbound/release.ts";
export { Retention, type RetentionPorts } from "./inbound/retention.ts";
export { UnitLogs } from "./inbound/unitLogs.ts";
export type { SegmentRow } from "./log/segment.ts";
export { EMPTY_LOG, headAfter, segmentHash } from "./log/segment.ts";
export { sqliteLog } from "./log/sqliteLog.ts";
export { createWriter, type Writer } from "./loop.ts";
export { restore } from "./maintenance/backup.ts";
export { check, isClean, sayChecked } from "./maintenance/check.ts";
export { LogFold } from "./maintenance/logFold.ts";
export { closeReplayGates, recover } from "./maintenance/recover.ts";
export type {
  Clock as CpClock,
  Crash as CpCrash,
  LogFields,
  Logger as CpLogger,
  Timer as CpTimer,
} from "./ports.ts";
export type { Origin } from "./repository/origin.ts";
export { mirrorOf, TrustedRepository } from "./repository/trustedRepository.ts";
export type { Batch, DerivedChange, Observation, Stamped } from "./store/change.ts";
export { createDatabase, openDatabase } from "./store/database.ts";
export { noRecords } from "./store/identity.ts";
export { memoryFrom } from "./store/memory.ts";
export type { Reader } from "./store/reader.ts";
export { checkpointsOf } from "./store/snapshot.ts";
export { sqliteStore } from "./store/sqlite.ts";
export type { Loaded, LoadedChannel, LoadedHost, Store } from "./store/store.ts";
