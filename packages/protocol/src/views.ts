import { type Answer, ROLLOUT_STATES } from "@nixwave/effects";
import { z } from "zod";
import { explanationSchema } from "./explanation.ts";
import {
  bootId,
  channel,
  channelRef,
  closureHash,
  count,
  hostName,
  journalId,
  offset,
  probeName,
  rolloutIdText,
} from "./ids.ts";
import { shownLogLine } from "./log.ts";
import { policySchema } from "./policy.ts";
import { shownHostRollout } from "./record.ts";
import { haltCause, pauseSchema, shownFreeze } from "./rollout.ts";
import { instantText } from "./time.ts";

const at = instantText;
/** The log's newest position, null while it is empty: ask for events after it to see what changes. */
const newest = offset.nullable();
/** Where the log begins, if what is told goes back to before that; null where the log has all of it. */
const logBeginsAt = offset.nullable();

/** The words that screens and counts use for a host in a rollout, in the order of a host's life. */
export const SHOWN = [
  "waiting",
  "dispatched",
  "activating",
  "deferred",
  "soaking",
  "converged",
  "rolling-back",
  "failed",
  "reverted",
  "lost",
  "skipped",
] as const;
export type Shown = (typeof SHOWN)[number];

/** The word for an answer of explainHost: one to one with the states, so that nothing is shown that was not seen. */
export function shownAs(answer: Pick<Answer, "kind"> & { record?: { kind: string } }): Shown {
  switch (answer.kind) {
    case "gate":
    case "queued":
    case "never-seen":
    case "unlisted":
    case "no-release":
      return "waiting";
    case "revoked":
      return "skipped";
    case "done":
      return answer.record?.kind === "Deferred" ? "deferred" : "converged";
    case "dispatched":
    case "activating":
    case "deferred":
    case "soaking":
    case "rolling-back":
    case "failed":
    case "reverted":
    case "lost":
    case "skipped":
      return answer.kind;
  }
}

const shown = z.enum(SHOWN);
/** How many hosts each word fits; a word that fits none may be left out. */
const counts = z.partialRecord(shown, count).readonly();
/** Commands to type next, the likeliest first. */
const next = z.array(z.string()).readonly();

/** A page of a list: `next` is the cursor of the page after it, null on the last one. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z
    .object({ items: z.array(item).readonly(), next: z.string().nullable(), total: count })
    .readonly();

export const rolloutSummary = z
  .object({
    rolloutId: rolloutIdText,
    channel,
    ref: channelRef,
    revision: z.string().nullable(),
    createdAt: at,
    createdBy: z.string(),
    note: z.string(),
    openedAt: at,
    state: z.enum(ROLLOUT_STATES),
    /** As in Rollout: one past the last wave when all are complete. */
    cursor: count,
    waves: count,
    hosts: count,
    done: count,
    counts,
    pause: pauseSchema(at).nullable(),
    /** `reason` is a sentence; `host` is the one that tipped it, null for an operator's cancel. */
    halted: z
      .object({ since: at, cause: haltCause, host: hostName.nullable(), reason: z.string() })
      .readonly()
      .nullable(),
    supersededBy: rolloutIdText.nullable(),
    next,
  })
  .readonly();
export type RolloutSummary = z.output<typeof rolloutSummary>;

export const channelStatus = z
  .object({
    channel,
    rollout: rolloutSummary.nullable(),
    /** Why the channel's newest release can't be used; what ran before goes on. */
    unverified: z.object({ reason: z.string(), since: at }).readonly().nullable(),
    /** Hosts that the gate `replay` still waits for, null outside a recovery. */
    unheard: count.nullable(),
    freezes: z.array(shownFreeze).readonly(),
  })
  .readonly();
export type ChannelStatus = z.output<typeof channelStatus>;

/** The signed repository as the CP mirrors it. */
export const repositoryStatus = z
  .object({
    /** What is wrong with all of it: an attack's name for machines, a sentence for people. What is wrong with one channel is its `unverified`. */
    problem: z.object({ code: z.string(), reason: z.string() }).readonly().nullable(),
    /** Until when each role of the state verified last is valid, the first to end first; `due` at a quarter of its validity left. */
    expiries: z
      .array(z.object({ role: z.string(), expiresAt: at, due: z.boolean() }).readonly())
      .readonly(),
  })
  .readonly();
export type RepositoryStatus = z.output<typeof repositoryStatus>;

/** `now` is the CP's clock: ages and times left are reckoned against it, never against the reader's. */
export const statusView = z
  .object({
    now: at,
    readySince: at,
    newest,
    channels: z.array(channelStatus).readonly(),
    repository: repositoryStatus.optional(),
    /** Known, and in no release. */
    unlistedHosts: count,
    next,
  })
  .readonly();
export type StatusView = z.output<typeof statusView>;

export const waveView = z
  .object({
    index: count,
    description: z.string(),
    soakSecs: count,
    state: z.enum(["closed", "open", "complete", "advanced"]),
    completedAt: at.nullable(),
    hosts: count,
    done: count,
    counts,
    /** Each distinct reason, the one that holds most hosts first, with the explanation of one such host. */
    heldBy: z.array(z.object({ hosts: count, example: explanationSchema }).readonly()).readonly(),
    /** When time alone may complete it, or null. */
    earliest: at.nullable(),
  })
  .readonly();
export type WaveView = z.output<typeof waveView>;

export const budgetView = z
  .object({ name: z.string(), hosts: count, held: count, maxInFlight: count })
  .readonly();

export const rolloutView = z
  .object({
    now: at,
    newest,
    rollout: rolloutSummary,
    policy: policySchema,
    waves: z.array(waveView).readonly(),
    budgets: z.array(budgetView).readonly(),
    logBeginsAt,
  })
  .readonly();
export type RolloutView = z.output<typeof rolloutView>;

/** A host in a list, seen from its newest rollout or from the one that was asked for. */
export const hostRow = z
  .object({
    host: hostName,
    channel: channel.nullable(),
    tags: z.array(z.string()).readonly(),
    wave: count.nullable(),
    shown,
    explanation: explanationSchema,
    currentClosure: closureHash.nullable(),
    targetClosure: closureHash.nullable(),
    lastHeardAt: at.nullable(),
  })
  .readonly();
export type HostRow = z.output<typeof hostRow>;

export const hostView = z
  .object({
    now: at,
    newest,
    row: hostRow,
    record: shownHostRollout.nullable(),
    agentVersion: z.string().nullable(),
    bootId: bootId.nullable(),
    leaving: z.string().nullable(),
    clockSkewSecs: z.number().nullable(),
    diskFreeBytes: count.nullable(),
    /** In the order in which they began; the last one is current. */
    journals: z.array(z.object({ journalId, since: at }).readonly()).readonly(),
    rollouts: z
      .array(z.object({ rolloutId: rolloutIdText, state: z.string() }).readonly())
      .readonly(),
  })
  .readonly();
export type HostView = z.output<typeof hostView>;

/** What failed on a host, gathered from its record and its events. */
const failure = z
  .object({
    cause: z.enum(["activation", "health"]),
    failedAt: at,
    phase: z.string().nullable(),
    probes: z
      .array(
        z
          .object({ probeName, reason: z.string().nullable(), firstFailedAt: at.nullable() })
          .readonly(),
      )
      .readonly(),
    sustainedSecs: z.number().nullable(),
    /** The last words of what failed to activate. */
    stderrTail: z.string().nullable(),
    /** The last words of the rollback that failed; null where none has, or a later one went well. */
    rollbackStderrTail: z.string().nullable(),
  })
  .readonly();

export const whyView = z
  .object({
    now: at,
    explanation: explanationSchema,
    row: hostRow,
    /** The hosts that the evidence names, such as those that hold a budget's slots. */
    mentions: z.array(hostRow).readonly(),
    failure: failure.nullable(),
    /** Why its activation can't begin yet, as its last heartbeat said; null where nothing was refused, or it does not activate. */
    waitsFor: z.string().nullable(),
    /** Events of this host in this rollout. */
    events: count,
    quarantined: z.boolean(),
    rollout: rolloutSummary.nullable(),
    /** The host's wall clock less the CP's, where they are far enough apart to be told; null where they agree or nothing is known. */
    clockSkewSecs: z.number().nullable(),
    logBeginsAt,
  })
  .readonly();
export type WhyView = z.output<typeof whyView>;

export const timelineEntry = z
  .object({
    at,
    offset,
    rolloutId: rolloutIdText,
    from: z.string(),
    to: z.string(),
  })
  .readonly();
export type TimelineEntry = z.output<typeof timelineEntry>;

export const timelinePage = z
  .object({ ...pageOf(timelineEntry).unwrap().shape, logBeginsAt })
  .readonly();

export const quarantineView = z
  .object({
    channel,
    closure: closureHash,
    since: at,
    /** The host and rollout whose rollback made it. */
    host: hostName.nullable(),
    rolloutId: rolloutIdText.nullable(),
    /** Hosts of the channel's current release that it holds back. */
    hosts: count,
  })
  .readonly();
export type QuarantineView = z.output<typeof quarantineView>;

/** Lines after a position. `after` is where to go on; `beginsAt` the first position that the log still has. */
export const eventsPage = z
  .object({
    items: z.array(shownLogLine).readonly(),
    after: offset.nullable(),
    beginsAt: offset,
    newest,
  })
  .readonly();
export type EventsPage = z.output<typeof eventsPage>;
