import type { GateName, Waiting } from "@nixwave/effects";
import { z } from "zod";
import { rejectCode } from "./event.ts";
import { attempt, channel, closureHash, count, hostName, rolloutIdText } from "./ids.ts";
import { shownHostRollout } from "./record.ts";
import { haltCause, pauseSchema, shownDispatch, shownFreeze } from "./rollout.ts";
import { instantText } from "./time.ts";

const at = instantText;
const hosts = z.array(hostName).readonly();
const reason = z.string();

/** One schema per gate, with the evidence that a person needs. */
export const BLOCK_SCHEMAS = {
  "rollout-halted": z
    .object({ gate: z.literal("rollout-halted"), cause: haltCause, haltedAt: at, hosts })
    .readonly(),
  replay: z.object({ gate: z.literal("replay"), channel, unheard: count, since: at }).readonly(),
  "release-unverified": z
    .object({ gate: z.literal("release-unverified"), channel, reason, since: at })
    .readonly(),
  paused: z.object({ gate: z.literal("paused"), pause: pauseSchema(at) }).readonly(),
  frozen: z.object({ gate: z.literal("frozen"), freeze: shownFreeze }).readonly(),
  "channel-conflict": z
    .object({ gate: z.literal("channel-conflict"), channels: z.array(channel).readonly() })
    .readonly(),
  "duplicate-host": z
    .object({ gate: z.literal("duplicate-host"), journals: count, since: at })
    .readonly(),
  quarantine: z.object({ gate: z.literal("quarantine"), channel, closure: closureHash }).readonly(),
  offline: z
    .object({
      gate: z.literal("offline"),
      lastHeardAt: at.nullable(),
      leaving: z.string().nullable(),
    })
    .readonly(),
  refused: z
    .object({
      gate: z.literal("refused"),
      attempt,
      code: rejectCode.nullable().default(null),
      reason,
      retryable: z.boolean(),
      count,
      rejectedAt: at,
    })
    .readonly(),
  "channel-edge": z
    .object({ gate: z.literal("channel-edge"), channel, state: z.string(), reason })
    .readonly(),
  wave: z
    .object({ gate: z.literal("wave"), wave: count, cursor: count, unproven: z.boolean() })
    .readonly(),
  "host-edge": z
    .object({ gate: z.literal("host-edge"), host: hostName, state: z.string(), reason })
    .readonly(),
  "host-busy": z
    .object({ gate: z.literal("host-busy"), rolloutId: rolloutIdText, state: z.string() })
    .readonly(),
  budget: z
    .object({
      gate: z.literal("budget"),
      budget: z.string(),
      held: count,
      maxInFlight: count,
      holders: hosts,
    })
    .readonly(),
} as const satisfies Record<GateName, z.ZodType<Waiting["block"]>>;

export const isGateName = (text: string): text is GateName => Object.hasOwn(BLOCK_SCHEMAS, text);
export const gateName = z.string().refine(isGateName, { error: "expected the name of a gate" });

const B = BLOCK_SCHEMAS;
export const blockSchema = z.discriminatedUnion("gate", [
  B["rollout-halted"],
  B.replay,
  B["release-unverified"],
  B.paused,
  B.frozen,
  B["channel-conflict"],
  B["duplicate-host"],
  B.quarantine,
  B.offline,
  B.refused,
  B["channel-edge"],
  B.wave,
  B["host-edge"],
  B["host-busy"],
  B.budget,
]);

const record = shownHostRollout;
const lastHeardAt = at.nullable();
const runningClosure = closureHash.nullable();
export const skipReason = z.enum(["offline", "quarantined", "revoked"]);

/** What explainHost found, as it is shown. */
export const answerSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("gate"), block: blockSchema }).readonly(),
  z.object({ kind: z.literal("queued"), dispatch: shownDispatch.nullable() }).readonly(),
  z.object({ kind: z.literal("dispatched"), dispatch: shownDispatch }).readonly(),
  z.object({ kind: z.literal("activating"), record }).readonly(),
  z.object({ kind: z.literal("deferred"), record }).readonly(),
  z
    .object({
      kind: z.literal("soaking"),
      record,
      unproven: z.array(z.object({ what: z.string(), reason }).readonly()).readonly(),
    })
    .readonly(),
  z.object({ kind: z.literal("rolling-back"), record }).readonly(),
  z.object({ kind: z.literal("failed"), record }).readonly(),
  z.object({ kind: z.literal("reverted"), record }).readonly(),
  z.object({ kind: z.literal("lost"), record, lastHeardAt }).readonly(),
  z
    .object({
      kind: z.literal("skipped"),
      reason: skipReason.nullable(),
      skippedAt: at,
      lastHeardAt,
    })
    .readonly(),
  z.object({ kind: z.literal("done"), record, drifted: z.boolean(), runningClosure }).readonly(),
  z.object({ kind: z.literal("unlisted"), runningClosure, lastHeardAt }).readonly(),
  z.object({ kind: z.literal("revoked") }).readonly(),
  z.object({ kind: z.literal("never-seen"), channel }).readonly(),
  z.object({ kind: z.literal("no-release"), channel: channel.nullable() }).readonly(),
]);

export const explanationSchema = z
  .object({
    host: hostName,
    rolloutId: rolloutIdText.nullable(),
    wave: count.nullable(),
    answer: answerSchema,
    since: z.object({ at, atLeast: z.boolean() }).readonly().nullable(),
    earliest: at.nullable(),
    clears: z.string().nullable(),
  })
  .readonly();
