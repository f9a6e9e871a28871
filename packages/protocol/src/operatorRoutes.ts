import { ROLLOUT_STATES } from "@nixwave/effects";
import { z } from "zod";
import {
  channel,
  closureHash,
  count,
  freezeId,
  hostName,
  inQuery,
  offset,
  rolloutIdText,
} from "./ids.ts";
import { LOG_LINE_KINDS } from "./log.ts";
import { freezeScope, shownFreeze } from "./rollout.ts";
import {
  answers,
  COMMAND,
  json,
  NO_BODY,
  READ,
  type Route,
  STREAM_ANSWER,
  TEXT_ANSWER,
} from "./route.ts";
import { instantText } from "./time.ts";
import {
  channelStatus,
  eventsPage,
  hostRow,
  hostView,
  pageOf,
  quarantineView,
  rolloutSummary,
  rolloutView,
  SHOWN,
  statusView,
  timelinePage,
  whyView,
} from "./views.ts";

/** Small enough to be made while a writer waits, large enough that a fleet of 5,000 is ten pages. */
export const PAGE_LIMIT_MAX = 500;

const page = {
  limit: inQuery(z.int().min(1).max(PAGE_LIMIT_MAX)).optional(),
  /** `next` of the page before, as it came. */
  cursor: z.string().max(1024).optional(),
};
/** In a rollout of its own path; `@tag`, names, or a selector in JSON (parseSelector). */
const hostFilter = {
  on: z.string().max(4096).optional(),
  shown: z.enum(SHOWN).optional(),
};
const ofRollout = z.object({ rolloutId: rolloutIdText });
const ofHost = z.object({ host: hostName });

/** Why a person did it. It is in the log for as long as the log lasts. */
const reason = z
  .string({ error: "expected a reason" })
  .trim()
  .min(1, { error: "expected a reason: it stands in the log beside your name" })
  .max(500, { error: "expected a reason of at most 500 characters" });
const because = json(z.object({ reason }).readonly());
const becauseUntil = json(z.object({ reason, until: instantText.nullable() }).readonly());

const READS = { ...READ, audience: "operator", role: "viewer" } as const;
const OPERATES = { ...COMMAND, audience: "operator", role: "operator" } as const;
const ADMINISTERS = { ...COMMAND, audience: "operator", role: "admin" } as const;
const known = ["unauthenticated", "forbidden", "not-found"] as const;
const changes = [...known, "conflict", "not-stored"] as const;

/** The fleet and its rollouts. */
const FLEET_ROUTES = {
  getStatus: {
    ...READS,
    path: "/v1/status",
    summary: "Every channel, its rollout, what is halted and what to type next",
    answer: answers(statusView),
    problems: known,
  },
  getChannels: {
    ...READS,
    path: "/v1/channels",
    summary:
      "Channels, each with its newest rollout, its freezes and whether its release can be used",
    query: z.object(page),
    answer: answers(pageOf(channelStatus)),
    problems: known,
  },
  getRollouts: {
    ...READS,
    path: "/v1/rollouts",
    summary: "Rollouts, the newest first",
    query: z.object({
      ...page,
      channel: channel.optional(),
      state: z.enum(ROLLOUT_STATES).optional(),
    }),
    answer: answers(pageOf(rolloutSummary)),
    problems: known,
  },
  getRollout: {
    ...READS,
    path: "/v1/rollouts/:rolloutId",
    summary: "One rollout with its waves, and what holds each",
    params: ofRollout,
    answer: answers(rolloutView),
    problems: known,
  },
} as const satisfies Record<string, Route>;

/** Hosts, one by one and in lists. */
const HOST_ROUTES = {
  getRolloutHosts: {
    ...READS,
    path: "/v1/rollouts/:rolloutId/hosts",
    summary: "The rollout's hosts by wave and name",
    params: ofRollout,
    query: z.object({ ...page, ...hostFilter }),
    answer: answers(pageOf(hostRow)),
    problems: known,
  },
  getHosts: {
    ...READS,
    path: "/v1/hosts",
    summary: "Every host, by name",
    query: z.object({ ...page, ...hostFilter, channel: channel.optional() }),
    answer: answers(pageOf(hostRow)),
    problems: known,
  },
  getHost: {
    ...READS,
    path: "/v1/hosts/:host",
    summary: "One host: its record, what it last said, its journals",
    params: ofHost,
    answer: answers(hostView),
    problems: known,
  },
} as const satisfies Record<string, Route>;

/** Why a host is where it is, and how it came there. */
const WHY_ROUTES = {
  getWhy: {
    ...READS,
    path: "/v1/hosts/:host/why",
    summary: "Why a host is where it is, with the evidence and what would move it",
    params: ofHost,
    answer: answers(whyView),
    problems: known,
  },
  getTimeline: {
    ...READS,
    path: "/v1/hosts/:host/timeline",
    summary: "The host's transitions, the newest first",
    params: ofHost,
    query: z.object({ ...page, rollout: rolloutIdText.optional() }),
    answer: answers(timelinePage),
    problems: known,
  },
  getLogs: {
    ...READS,
    path: "/v1/hosts/:host/logs",
    summary: "The newest output of the host's switch or rollback unit that the control plane has",
    params: ofHost,
    query: z.object({ rollout: rolloutIdText.optional() }),
    answer: TEXT_ANSWER,
    problems: known,
  },
} as const satisfies Record<string, Route>;

/** What happened, and what is in force. */
const LOG_ROUTES = {
  getEvents: {
    ...READS,
    path: "/v1/events",
    summary: "Lines of the log after a position",
    query: z.object({
      after: inQuery(offset).optional(),
      limit: page.limit,
      host: hostName.optional(),
      rollout: rolloutIdText.optional(),
      kind: z.enum(LOG_LINE_KINDS).optional(),
    }),
    answer: answers(eventsPage),
    problems: known,
  },
  getStream: {
    ...READS,
    path: "/v1/stream",
    summary: "Server-sent events: how each rollout moves, at most four times a second",
    answer: STREAM_ANSWER,
    problems: known,
  },
  getQuarantines: {
    ...READS,
    path: "/v1/quarantines",
    summary: "Closures that are refused on a channel",
    query: z.object({ ...page, channel: channel.optional() }),
    answer: answers(pageOf(quarantineView)),
    problems: known,
  },
  getFreezes: {
    ...READS,
    path: "/v1/freezes",
    summary: "Freezes in force",
    query: z.object(page),
    answer: answers(pageOf(shownFreeze)),
    problems: known,
  },
  getMetrics: {
    ...READS,
    path: "/metrics",
    summary: "Prometheus metrics",
    body: NO_BODY,
    answer: TEXT_ANSWER,
    problems: ["unauthenticated", "forbidden"],
  },
} as const satisfies Record<string, Route>;

/** What changes something; each is in the log with the operator's name. */
const ACTION_ROUTES = {
  pauseRollout: {
    ...OPERATES,
    path: "/v1/rollouts/:rolloutId/pause",
    summary: "Dispatches nothing more of this rollout, until then or until it is resumed",
    params: ofRollout,
    body: becauseUntil,
    answer: answers(rolloutSummary),
    problems: changes,
  },
  resumeRollout: {
    ...OPERATES,
    path: "/v1/rollouts/:rolloutId/resume",
    summary: "Ends a pause",
    params: ofRollout,
    body: because,
    answer: answers(rolloutSummary),
    problems: changes,
  },
  advanceRollout: {
    ...OPERATES,
    path: "/v1/rollouts/:rolloutId/advance",
    summary: "Takes a wave as complete; the wave is named, so that doing it twice skips none",
    params: ofRollout,
    body: json(z.object({ reason, wave: count.min(1) }).readonly()),
    answer: answers(rolloutSummary),
    problems: changes,
  },
  clearRollout: {
    ...ADMINISTERS,
    path: "/v1/rollouts/:rolloutId/clear",
    summary: "Forgives the failures so far and goes on; quarantines stay",
    params: ofRollout,
    body: because,
    answer: answers(rolloutSummary),
    problems: changes,
  },
  cancelRollout: {
    ...ADMINISTERS,
    path: "/v1/rollouts/:rolloutId/cancel",
    summary: "Ends a rollout; only a new release follows it",
    params: ofRollout,
    body: because,
    answer: answers(rolloutSummary),
    problems: changes,
  },
  retryHost: {
    ...OPERATES,
    path: "/v1/hosts/:host/retry",
    summary: "One more attempt of a host at its channel's rollout",
    params: ofHost,
    body: because,
    answer: answers(whyView),
    problems: changes,
  },
  postFreeze: {
    ...OPERATES,
    path: "/v1/freezes",
    summary: "Dispatches nothing to all hosts, a channel's or the named ones",
    body: json(z.object({ scope: freezeScope, reason, until: instantText.nullable() }).readonly()),
    answer: answers(shownFreeze),
    problems: changes,
  },
  liftFreeze: {
    ...OPERATES,
    path: "/v1/freezes/:freezeId/lift",
    summary: "Ends a freeze; one of another operator's needs the role admin",
    params: z.object({ freezeId }),
    body: because,
    answer: answers(shownFreeze),
    problems: changes,
  },
  liftQuarantine: {
    ...ADMINISTERS,
    path: "/v1/quarantines/:channel/:closure/lift",
    summary: "Lets a closure be dispatched on its channel again",
    params: z.object({ channel, closure: closureHash }),
    body: because,
    answer: answers(quarantineView),
    problems: changes,
  },
  endReplay: {
    ...ADMINISTERS,
    path: "/v1/replay/end",
    summary: "Opens the gate replay early: dispatches go out before all hosts were heard",
    body: because,
    answer: answers(z.object({ channels: z.array(channel).readonly() }).readonly()),
    problems: changes,
  },
} as const satisfies Record<string, Route>;

/** Bearer token or operator certificate. Named by its parts: the declaration of the whole would be too long for the compiler. */
export const OPERATOR_ROUTES: typeof FLEET_ROUTES &
  typeof HOST_ROUTES &
  typeof WHY_ROUTES &
  typeof LOG_ROUTES &
  typeof ACTION_ROUTES = {
  ...FLEET_ROUTES,
  ...HOST_ROUTES,
  ...WHY_ROUTES,
  ...LOG_ROUTES,
  ...ACTION_ROUTES,
};
