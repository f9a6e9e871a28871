import { DISPATCH_STATES, type Instant } from "@nixwave/effects";
import { z } from "zod";
import {
  attempt,
  channel,
  channelRef,
  closureHash,
  count,
  freezeId,
  hostName,
  rolloutIdText,
} from "./ids.ts";
import { instantMs, instantText } from "./time.ts";

export const haltCause = z.enum(["failures", "cancelled"]);

export function pauseSchema<W extends string | number>(at: z.ZodType<Instant, W>) {
  return z
    .object({ by: z.string(), reason: z.string(), since: at, until: at.nullable() })
    .readonly();
}

/** Rollout as JSON; for `at` see hostRolloutSchema. */
export function rolloutSchema<W extends string | number>(at: z.ZodType<Instant, W>) {
  const base = {
    rolloutId: rolloutIdText,
    channel,
    ref: channelRef,
    createdAt: at,
    openedAt: at,
    cursor: count,
    advanced: z.array(count).readonly(),
    pause: pauseSchema(at).nullable(),
  };
  return z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("Active"), ...base }).readonly(),
    z.object({ kind: z.literal("Completed"), ...base, completedAt: at }).readonly(),
    z.object({ kind: z.literal("Failed"), ...base, haltedAt: at, cause: haltCause }).readonly(),
    z.object({ kind: z.literal("Reverted"), ...base, haltedAt: at, cause: haltCause }).readonly(),
    z
      .object({
        kind: z.literal("Superseded"),
        ...base,
        supersededAt: at,
        supersededBy: rolloutIdText,
      })
      .readonly(),
    z.object({ kind: z.literal("Pruned"), ...base, prunedAt: at }).readonly(),
  ]);
}

export const hostMarksSchema = <W extends string | number>(at: z.ZodType<Instant, W>) =>
  z
    .object({
      rolloutId: rolloutIdText,
      host: hostName,
      skippedAt: at.nullable(),
      lostAt: at.nullable(),
      forgottenAt: at.nullable(),
      forgivenAt: at.nullable(),
      attemptDue: attempt.nullable(),
      retriedAt: at.nullable(),
    })
    .readonly();

/** A dispatch as the CP keeps it; what the agent gets of it is a DispatchOffer. */
export const dispatchSchema = <W extends string | number>(at: z.ZodType<Instant, W>) =>
  z
    .object({
      host: hostName,
      rolloutId: rolloutIdText,
      attempt,
      targetClosure: closureHash,
      soakDueAt: at,
      dispatchedAt: at,
      state: z.enum(DISPATCH_STATES),
      changedAt: at,
      leaseUntil: at.nullable(),
    })
    .readonly();

export const freezeScope = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("all") }).readonly(),
  z.object({ kind: z.literal("channel"), channel }).readonly(),
  z.object({ kind: z.literal("hosts"), hosts: z.array(hostName).min(1).readonly() }).readonly(),
]);

export const freezeSchema = <W extends string | number>(at: z.ZodType<Instant, W>) =>
  z
    .object({
      freezeId,
      scope: freezeScope,
      by: z.string(),
      reason: z.string(),
      since: at,
      until: at.nullable(),
    })
    .readonly();

export const storedRollout = rolloutSchema(instantMs);
export const storedHostMarks = hostMarksSchema(instantMs);
export const storedDispatch = dispatchSchema(instantMs);
export const storedFreeze = freezeSchema(instantMs);
export const shownRollout = rolloutSchema(instantText);
export const shownDispatch = dispatchSchema(instantText);
export const shownFreeze = freezeSchema(instantText);
