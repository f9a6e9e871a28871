import type { Policy } from "@nixwave/effects";
import { z } from "zod";
import { onHealthFailure } from "./event.ts";
import { count } from "./ids.ts";

/** A year. No deadline of a rollout is longer, and no sum of two of them leaves the range of instants. */
export const SECS_MAX = 365 * 24 * 3600;

export const durationSecs = z
  .int({ error: "expected a whole number of seconds" })
  .min(0, { error: "expected a whole number of seconds, not a negative one" })
  .max(SECS_MAX, { error: `expected at most ${SECS_MAX} seconds, which is a year` });

/** A deadline of 0 would be over before anything has begun. */
const deadlineSecs = durationSecs.min(1, { error: "expected at least 1 second" });

/** As in a head and in a record: every number is written out. */
export const policySchema = z
  .object({
    onHealthFailure,
    healthFailureThresholdSecs: durationSecs,
    activationTimeoutSecs: deadlineSecs,
    realiseTimeoutSecs: deadlineSecs,
    rollbackTimeoutSecs: deadlineSecs,
    probeReportSecs: deadlineSecs,
    lostSecs: deadlineSecs,
    offlineGraceSecs: deadlineSecs,
    maxFailures: count,
    deferredCounts: z.enum(["waiting", "done"], { error: "expected waiting or done" }),
  })
  .readonly();

/** What a declaration gets for what it leaves out. Only `resolve` reads it: a head has every number. */
export const DEFAULT_POLICY: Policy = {
  onHealthFailure: "rollback-and-halt",
  healthFailureThresholdSecs: 60,
  activationTimeoutSecs: 900,
  realiseTimeoutSecs: 21_600,
  rollbackTimeoutSecs: 900,
  probeReportSecs: 60,
  lostSecs: 900,
  offlineGraceSecs: 3600,
  maxFailures: 0,
  deferredCounts: "waiting",
};
export const DEFAULT_SOAK_SECS = 600;
