import { HOST_STATES, type Instant } from "@nixwave/effects";
import { z } from "zod";
import { gateName, skipReason } from "./explanation.ts";
import {
  attempt,
  channel,
  channelRef,
  closureHash,
  count,
  freezeId,
  hostName,
  journalId,
  rolloutIdText,
} from "./ids.ts";
import { freezeSchema } from "./rollout.ts";
import { instantMs, instantText } from "./time.ts";

const hostState = z.enum(HOST_STATES);
const who = { by: z.string(), reason: z.string() };
const failureCount = { failures: count, reverted: count, maxFailures: count };
const attemptsOwed = z
  .array(z.object({ rolloutId: rolloutIdText, host: hostName, attempt }).readonly())
  .readonly();

/** RolloutInput as JSON, one schema per kind; for `at` see hostRolloutSchema. */
export function rolloutInputSchema<W extends string | number>(at: z.ZodType<Instant, W>) {
  const of = <K extends string>(kind: K) => ({
    kind: z.literal(kind),
    rolloutId: rolloutIdText,
    at,
  });
  return z.discriminatedUnion("kind", [
    z.object({ ...of("RolloutOpened"), channel, ref: channelRef, createdAt: at }).readonly(),
    z
      .object({ ...of("HostJoined"), host: hostName, attempt, journalId, dispatchedAt: at })
      .readonly(),
    z.object({ ...of("DispatchCancelled"), host: hostName, attempt, gate: gateName }).readonly(),
    z
      .object({
        ...of("HostStateChanged"),
        ...failureCount,
        host: hostName,
        attempt,
        from: hostState,
        to: hostState,
      })
      .readonly(),
    z.object({ ...of("HostSkipped"), host: hostName, reason: skipReason }).readonly(),
    z.object({ ...of("HostReturned"), host: hostName }).readonly(),
    z.object({ ...of("WaveCompleted"), wave: count }).readonly(),
    z.object(of("RolloutCompleted")).readonly(),
    z.object({ ...of("SuccessorOpened"), successor: rolloutIdText }).readonly(),
    z.object({ ...of("OperatorPaused"), ...who, until: at.nullable() }).readonly(),
    z.object({ ...of("OperatorResumed"), ...who }).readonly(),
    z.object({ ...of("OperatorAdvanced"), ...who, wave: count }).readonly(),
    z
      .object({
        ...of("OperatorCleared"),
        ...who,
        forgiven: z.array(hostName).readonly(),
        attempts: attemptsOwed,
      })
      .readonly(),
    z.object({ ...of("OperatorRetried"), ...who, host: hostName, attempt }).readonly(),
    z.object({ ...of("OperatorCancelled"), ...who }).readonly(),
    z.object(of("RetentionExpired")).readonly(),
  ]);
}

/** FleetInput as JSON. */
export function fleetInputSchema<W extends string | number>(at: z.ZodType<Instant, W>) {
  const of = <K extends string>(kind: K) => ({ kind: z.literal(kind), at });
  const host = { rolloutId: rolloutIdText, host: hostName };
  return z.discriminatedUnion("kind", [
    z.object({ ...of("HostLost"), ...failureCount, ...host }).readonly(),
    z.object({ ...of("HostFound"), ...failureCount, ...host }).readonly(),
    z.object({ ...of("HostForgot"), ...host, journalId, attempt }).readonly(),
    z.object({ ...of("Frozen"), freeze: freezeSchema(at) }).readonly(),
    z.object({ ...of("Unfrozen"), ...who, freezeId }).readonly(),
    z
      .object({
        ...of("QuarantineLifted"),
        ...who,
        channel,
        closure: closureHash,
        attempts: attemptsOwed,
      })
      .readonly(),
    z.object({ ...of("ReplayEnded"), ...who, channels: z.array(channel).readonly() }).readonly(),
  ]);
}

export const storedRolloutInput = rolloutInputSchema(instantMs);
export const storedFleetInput = fleetInputSchema(instantMs);
export const shownRolloutInput = rolloutInputSchema(instantText);
export const shownFleetInput = fleetInputSchema(instantText);
