import { type Handlers, interpret } from "@nixwave/effects";
import type { Input } from "../input.ts";
import type { Decision, Situation } from "./decision.ts";
import { dispatchReceived, releaseRefused, releaseVerified } from "./dispatch.ts";
import {
  booted,
  heartbeatAnswered,
  holdSet,
  journalRefused,
  metadataVerified,
  outboxAcked,
  rollbackAsked,
  timerFired,
} from "./host.ts";
import {
  bootStaged,
  observed,
  probeReported,
  rollbackBroke,
  rollbackStarting,
  switchBroke,
  switchStarting,
  topologyDeclared,
} from "./worker.ts";

const DECISIONS: Handlers<Input, Situation, Decision> = {
  Booted: booted,
  TimerFired: timerFired,
  MetadataVerified: metadataVerified,
  DispatchReceived: dispatchReceived,
  ReleaseVerified: releaseVerified,
  ReleaseRefused: releaseRefused,
  SwitchStarting: switchStarting,
  RollbackStarting: rollbackStarting,
  Observed: observed,
  SwitchBroke: switchBroke,
  BootStaged: bootStaged,
  RollbackBroke: rollbackBroke,
  TopologyDeclared: topologyDeclared,
  ProbeReported: probeReported,
  OutboxAcked: outboxAcked,
  HeartbeatAnswered: heartbeatAnswered,
  JournalRefused: journalRefused,
  HoldSet: holdSet,
  RollbackAsked: rollbackAsked,
};

/** What one input means: pure, and total over inputs. */
export const decide = (input: Input, situation: Situation): Decision =>
  interpret(DECISIONS, input, situation);
