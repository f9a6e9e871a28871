import type { Instant } from "@nixwave/effects";
import { z } from "zod";
import { gateName } from "./explanation.ts";
import {
  channel,
  channelRef,
  count,
  hostName,
  journalId,
  offset,
  rolloutIdText,
  seq,
  sha256Text,
} from "./ids.ts";
import { fleetInputSchema, rolloutInputSchema } from "./input.ts";
import { dispatchSchema } from "./rollout.ts";
import { instantMs, instantText } from "./time.ts";

/** Codes of events that never reach `transition`. What `transition` refuses is an AgentEvent: the fold refuses it again. */
export const EVENT_REFUSALS = ["unknown-kind", "bad-event", "unknown-rollout"] as const;
export type EventRefusal = (typeof EVENT_REFUSALS)[number];

/**
 * A line of the CP's log. Instants are whole milliseconds where it is stored, RFC 3339 where it is shown; `line` of an
 * AgentEvent is what the agent sent, unchanged, and decodeLine reads it.
 */
export function logLineSchema<W extends string | number>(at: z.ZodType<Instant, W>) {
  const of = <K extends string>(kind: K) => ({ offset, kind: z.literal(kind), receivedAt: at });
  const ofStream = { host: hostName, rolloutId: rolloutIdText, journalId, seq };
  return z.discriminatedUnion("kind", [
    z.object({ ...of("AgentEvent"), ...ofStream, line: z.string() }).readonly(),
    z
      .object({
        ...of("EventRefused"),
        ...ofStream,
        code: z.enum(EVENT_REFUSALS),
        sha256: sha256Text,
      })
      .readonly(),
    z.object({ ...of("RolloutInput"), input: rolloutInputSchema(at) }).readonly(),
    z.object({ ...of("FleetInput"), input: fleetInputSchema(at) }).readonly(),
    z.object({ ...of("DispatchChanged"), dispatch: dispatchSchema(at) }).readonly(),
    z
      .object({
        ...of("ReleaseVerified"),
        rolloutId: rolloutIdText,
        channel,
        ref: channelRef,
        current: z.boolean(),
      })
      .readonly(),
    z
      .object({
        ...of("ReleaseRefused"),
        channel,
        ref: channelRef.nullable(),
        code: z.string(),
        reason: z.string(),
      })
      .readonly(),
    z.object({ ...of("Enrolled"), host: hostName, by: z.string() }).readonly(),
    z.object({ ...of("JournalChanged"), host: hostName, journalId }).readonly(),
    /** `hosts` that the gate holds now; 0 when it has opened. */
    z
      .object({ ...of("GateChanged"), rolloutId: rolloutIdText, gate: gateName, hosts: count })
      .readonly(),
    /** `sha256` is over the derived tables as the fold of everything before left them. */
    z.object({ ...of("Checkpoint"), version: count, sha256: sha256Text }).readonly(),
  ]);
}

export const storedLogLine = logLineSchema(instantMs);
export const shownLogLine = logLineSchema(instantText);

export type LogLine = z.output<typeof storedLogLine>;
export type LogLineKind = LogLine["kind"];

/** Every kind of line, for filters and CHECK lists. */
export const LOG_LINE_KINDS = [
  "AgentEvent",
  "EventRefused",
  "RolloutInput",
  "FleetInput",
  "DispatchChanged",
  "ReleaseVerified",
  "ReleaseRefused",
  "Enrolled",
  "JournalChanged",
  "GateChanged",
  "Checkpoint",
] as const satisfies readonly LogLineKind[];
