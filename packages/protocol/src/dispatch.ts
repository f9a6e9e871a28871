import type {
  Attempt,
  Channel,
  ChannelRef,
  ClosureHash,
  HostReport,
  Instant,
  RolloutId,
} from "@nixwave/effects";
import { z } from "zod";
import {
  attempt,
  bootId,
  channel,
  channelRef,
  closureHash,
  count,
  lastSeq,
  offset,
  rolloutIdText,
  seq,
  sha256Text,
} from "./ids.ts";
import { instantText } from "./time.ts";

/** What GET /v1/agent/dispatch hands out. wave and soakDueAt are for people: no decision of an agent reads them. */
export interface DispatchOffer {
  readonly rolloutId: RolloutId;
  readonly channel: Channel;
  readonly ref: ChannelRef;
  readonly targetClosure: ClosureHash;
  readonly attempt: Attempt;
  readonly wave: number;
  readonly soakDueAt: Instant;
  /** Constant over re-delivery. */
  readonly dispatchedAt: Instant;
  /** Counted from the moment at which the agent sent its poll. */
  readonly leaseSecs: number;
  readonly timestampVersion: number | null;
}

export const dispatchOffer = z
  .object({
    rolloutId: rolloutIdText,
    channel,
    ref: channelRef,
    targetClosure: closureHash,
    attempt,
    wave: z.int().min(1),
    soakDueAt: instantText,
    dispatchedAt: instantText,
    leaseSecs: count,
    timestampVersion: z.int().min(1).nullable(),
  })
  .readonly();

/** The leased dispatch that a poll renews: `holding=ROLLOUTID,ATTEMPT`. */
export interface Holding {
  readonly rolloutId: RolloutId;
  readonly attempt: Attempt;
}

export const holding = z.codec(
  z.string(),
  z.object({ rolloutId: rolloutIdText, attempt }).readonly(),
  {
    decode: (text) => {
      const comma = text.lastIndexOf(",");
      return { rolloutId: text.slice(0, comma), attempt: Number(text.slice(comma + 1)) };
    },
    encode: (held) => `${held.rolloutId},${held.attempt}`,
  },
);

/** How far a stream reaches that the agent's journal still keeps. */
const stream = z.object({ attempt, lastSeq }).readonly();

/** The newest position of the CP's log that was shown, with its hash. */
export const logHead = z.object({ offset, hash: sha256Text }).readonly();
export type LogHead = z.output<typeof logHead>;

export const LEAVING = [
  "reboot",
  "off",
  "sleep",
] as const satisfies readonly HostReport["leaving"][];

/** Any more could not be kept apart by a person either; each is a record in the agent's journal. */
const STREAMS_MAX = 10_000;

/** A few lines of Nix; the rest is in the host's own log. */
export const WAITS_FOR_LENGTH_MAX = 1024;

export const heartbeat = z
  .object({
    agentVersion: z.string().min(1).max(64),
    currentClosure: closureHash.nullable(),
    bootId,
    uptimeSecs: z.number().min(0),
    wallClock: instantText,
    streams: z
      .record(rolloutIdText, stream)
      .refine((streams) => Object.keys(streams).length <= STREAMS_MAX, {
        error: `expected at most ${STREAMS_MAX} streams`,
      })
      .readonly(),
    logHead: logHead.nullable(),
    diskFreeBytes: count.nullable(),
    /** An agent from before this was told says nothing of it. */
    waitsFor: z.string().max(WAITS_FOR_LENGTH_MAX).nullable().default(null),
    leaving: z.enum(LEAVING).nullable(),
  })
  .readonly();
export type Heartbeat = z.output<typeof heartbeat>;

export const heartbeatAnswer = z
  .object({
    intervalSecs: z.int().min(1),
    /** Send these streams again, from this number on. */
    replayFrom: z.record(rolloutIdText, seq).readonly(),
    /**
     * The newest streams of this journal of which the CP has more than the heartbeat told, and how far. An agent that never
     * gave such a number was set back, or has a clone. Left out where there are none.
     */
    ahead: z.record(rolloutIdText, seq).readonly().optional(),
    logHead: logHead.nullable(),
    want: z.array(z.literal("unit-log")).readonly(),
  })
  .readonly();
export type HeartbeatAnswer = z.output<typeof heartbeatAnswer>;

/** A line that was refused and has consumed its number. */
const refusedLine = z.object({ seq, code: z.string().regex(/^[a-z][a-z-]{0,63}$/) }).readonly();

const streamAnswer = z
  .object({
    ackedThrough: lastSeq,
    /** Set where the stream has a gap: the number that the CP waits for. */
    expected: seq.optional(),
    refused: z.array(refusedLine).readonly(),
  })
  .readonly();

/** Answered after the commit. `badLines` could not be told to belong to any stream, so they consume no number. */
export const eventsAnswer = z
  .object({
    streams: z.record(rolloutIdText, streamAnswer).readonly(),
    badLines: z.array(z.object({ line: z.int().min(1), reason: z.string() }).readonly()).readonly(),
  })
  .readonly();
export type EventsAnswer = z.output<typeof eventsAnswer>;
