import { isInstant, type Release } from "@nixwave/effects";
import {
  channel,
  channelRef,
  hostName,
  policySchema,
  releaseHostSchema,
  rolloutIdText,
} from "@nixwave/protocol";
import { z } from "zod";

/**
 * A verified release as it is kept: the parsed form, because the fold needs nothing else and the repository keeps the signed bytes.
 * Never read from anything but our own database.
 */
const edge = <T extends z.ZodType>(name: T) =>
  z.object({ gates: name, gated: name, reason: z.string() }).readonly();

export const storedRelease: z.ZodType<Release, unknown> = z
  .object({
    rolloutId: rolloutIdText,
    channel,
    ref: channelRef,
    revision: z.string().nullable(),
    createdAt: z.number().refine(isInstant),
    createdBy: z.string(),
    note: z.string(),
    waves: z
      .array(z.object({ index: z.int(), soakSecs: z.number(), description: z.string() }).readonly())
      .readonly(),
    policy: policySchema,
    channelEdges: z.array(edge(channel)).readonly(),
    hosts: z.array(releaseHostSchema).readonly(),
    budgets: z
      .array(
        z
          .object({ name: z.string(), hosts: z.array(hostName).readonly(), maxInFlight: z.int() })
          .readonly(),
      )
      .readonly(),
    edges: z.array(edge(hostName)).readonly(),
  })
  .readonly();
