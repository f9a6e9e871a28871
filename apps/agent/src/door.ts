/** The one door of the app, for the simulator in scripts/sim: the real agent, with every port in the caller's hands. */
export type { Activation, FoundUnit, PinName, UnitRun } from "./activation/activation.ts";
export { type NixosConfig, nixosActivation } from "./activation/nixos.ts";
export { type ProfileConfig, profileActivation } from "./activation/profile.ts";
export { type SystemClosures, type UnitRef, unitName } from "./activation/unit.ts";
export { type Agent, startAgent } from "./agent.ts";
export type { ControlPlane } from "./controlPlane.ts";
export {
  CRASH_POINTS as AGENT_CRASH_POINTS,
  type CrashPoint as AgentCrashPoint,
} from "./crashPoint.ts";
export { hashedReleases } from "./inbound/hashedReleases.ts";
export { httpControlPlane } from "./inbound/httpControlPlane.ts";
export { SignedReleases } from "./inbound/signedReleases.ts";
export { Journal } from "./journal/journal.ts";
export { JournalUnwritable } from "./journal/openFile.ts";
export { CUT_OFF, sealed } from "./journal/outboxTable.ts";
export { migrate as migrateJournal } from "./journal/schema.ts";
export {
  type JournalTables,
  type KeptOutbox,
  type KeptRecords,
  KNOWN_GOOD_MAX,
} from "./journal/tables.ts";
export { systemProcess } from "./perform/process.ts";
export { systemDisk, systemRandom, systemTimer } from "./perform/systemPorts.ts";
export {
  AnswerTooLong,
  type Disk,
  type Http as AgentHttp,
  type HttpAnswer,
  type HttpRequest,
  type Ports as AgentPorts,
  type Process,
  type RunResult,
} from "./ports.ts";
export type { HostReleases } from "./releases.ts";
