import type { Instant, Soaking } from "@nixwave/effects";
import { z } from "zod";
import {
  declaredProbes,
  onHealthFailure,
  probeMode,
  probeStatus,
  rejectCode,
  subResults,
} from "./event.ts";
import {
  attempt,
  bootId,
  channel,
  closureHash,
  count,
  hostName,
  journalId,
  lastSeq,
  probeName,
  rolloutIdText,
} from "./ids.ts";
import { policySchema } from "./policy.ts";
import { closureDigest } from "./release.ts";
import { instantMs, instantText } from "./time.ts";

export const termsSchema = z
  .object({
    policy: policySchema,
    wave: z.int().min(1),
    soakSecs: z.number().min(0),
    // Records from before it was kept have none, as releases without a digest.
    closureDigest: closureDigest.nullable().default(null),
  })
  .readonly();

export const evidenceSchema = <W extends string | number>(at: z.ZodType<Instant, W>) =>
  z
    .object({
      mode: probeMode,
      status: probeStatus,
      observedAt: at,
      statusSince: at,
      everFailed: z.boolean(),
      reason: z.string().nullable(),
      subResults: subResults.nullable(),
    })
    .readonly();

/**
 * HostRollout as JSON. `at` says how instants are written: whole milliseconds where a record is stored, RFC 3339 where
 * it is shown. One definition for both, so that they cannot drift apart.
 */
export function hostRolloutSchema<W extends string | number>(at: z.ZodType<Instant, W>) {
  const base = {
    rolloutId: rolloutIdText,
    host: hostName,
    channel,
    targetClosure: closureHash,
    attempt,
    dispatchedAt: at,
    soakDueAt: at,
    journalId,
    lastSeq,
    lastReject: z
      .object({
        attempt,
        code: rejectCode.nullable().default(null),
        reason: z.string(),
        retryable: z.boolean(),
        rejectedAt: at,
        count,
      })
      .readonly()
      .nullable(),
    supersededBy: rolloutIdText.nullable(),
  };
  const acked = { ...base, terms: termsSchema, rollbackTarget: closureHash.nullable() };
  const topology = z.object({ probes: declaredProbes, bootId, declaredAt: at }).readonly();
  const evidence = evidenceSchema(at);
  // Annotated, because Record<ProbeName, …> is another type than the index signature of Soaking.
  const probes: z.ZodType<
    Soaking["probes"],
    { readonly [name: string]: z.input<typeof evidence> }
  > = z.record(probeName, evidence).readonly();
  return z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("Pending"), ...base, terms: termsSchema.nullable() }).readonly(),
    z
      .object({
        kind: z.literal("Activating"),
        ...acked,
        ackedAt: at,
        startedAt: at.nullable(),
        starts: count,
      })
      .readonly(),
    z
      .object({
        kind: z.literal("Deferred"),
        ...acked,
        ackedAt: at,
        component: z.string(),
        bootId,
        deferredAt: at,
      })
      .readonly(),
    z
      .object({
        kind: z.literal("Soaking"),
        ...acked,
        activationCompletedAt: at,
        currentClosure: closureHash,
        topology: topology.nullable(),
        probes,
      })
      .readonly(),
    z
      .object({
        kind: z.literal("Converged"),
        ...acked,
        activationCompletedAt: at,
        convergedAt: at,
        currentClosure: closureHash,
      })
      .readonly(),
    z
      .object({
        kind: z.literal("Failed"),
        ...acked,
        failedAt: at,
        cause: z.enum(["activation", "health"]),
        failingProbes: z.array(probeName).readonly(),
        policyApplied: onHealthFailure,
        rollback: z.enum(["none", "owed", "failed"]),
        rollbackStartedAt: at.nullable(),
        rollbackTries: count,
        rollbackRetryAt: at.nullable(),
      })
      .readonly(),
    z
      .object({
        kind: z.literal("Reverted"),
        ...acked,
        failedAt: at,
        revertedAt: at,
        revertedTo: closureHash,
        currentClosure: closureHash,
      })
      .readonly(),
  ]);
}

export const storedHostRollout = hostRolloutSchema(instantMs);
export const shownHostRollout = hostRolloutSchema(instantText);
