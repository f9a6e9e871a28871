import { z } from "zod";
import { dispatchOffer, eventsAnswer, heartbeat, heartbeatAnswer, holding } from "./dispatch.ts";
import { enrolledSchema, renewalRequestSchema } from "./identity/enrolmentRequest.ts";
import { attempt, channel, inQuery, rolloutIdText } from "./ids.ts";
import { BATCH_BYTES_MAX } from "./line.ts";
import {
  answers,
  BYTES_ANSWER,
  COMMAND,
  json,
  mayAnswer,
  NO_ANSWER,
  READ,
  type Route,
} from "./route.ts";

/** Proxies cut silent connections after some minutes at most. */
export const POLL_WAIT_SECS_MAX = 120;
/** The last of a unit's output, as an agent keeps it. */
export const UNIT_LOG_BYTES_MAX = 64 * 1024;
/** 10,000 streams of a journal that nobody has cleaned, and room. */
const HEARTBEAT_BYTES_MAX = 2 * 1024 * 1024;

/** A certificate request in base64. */
const RENEWAL_BYTES_MAX = 8 * 1024;

const journals = ["wrong-host", "unauthenticated", "old-journal"] as const;

/** Mutual TLS; each request carries the headers `Nixwave-Journal` and `Nixwave-Protocol`. */
export const AGENT_ROUTES = {
  getDispatch: {
    ...READ,
    path: "/v1/agent/dispatch",
    summary: "Waits for a dispatch; 204 when there is none, or when it renews the one that is held",
    audience: "agent",
    query: z.object({
      wait: inQuery(z.int().min(0).max(POLL_WAIT_SECS_MAX)).optional(),
      holding: holding.optional(),
    }),
    answer: mayAnswer(dispatchOffer),
    problems: journals,
  },
  postEvents: {
    ...COMMAND,
    path: "/v1/agent/events",
    summary: "Takes a batch of events, one envelope a line; answered after the commit",
    audience: "agent",
    body: { kind: "ndjson", schema: z.string() },
    answer: answers(eventsAnswer),
    problems: [...journals, "set-back", "not-stored"],
    bodyBytesMax: BATCH_BYTES_MAX,
  },
  postHeartbeat: {
    ...COMMAND,
    path: "/v1/agent/heartbeat",
    summary: "Says what the host runs and which streams its journal keeps",
    audience: "agent",
    body: json(heartbeat),
    answer: answers(heartbeatAnswer),
    problems: [...journals, "set-back", "not-stored"],
    bodyBytesMax: HEARTBEAT_BYTES_MAX,
  },
  postLogs: {
    ...COMMAND,
    path: "/v1/agent/logs",
    summary: "Takes the output of a unit that the heartbeat's answer asked for",
    audience: "agent",
    query: z.object({
      rolloutId: rolloutIdText,
      attempt: inQuery(attempt),
      purpose: z.enum(["switch", "rollback"]),
    }),
    body: { kind: "text", schema: z.string() },
    answer: NO_ANSWER,
    problems: [...journals, "not-stored"],
    bodyBytesMax: UNIT_LOG_BYTES_MAX,
  },
  renewCertificate: {
    ...COMMAND,
    path: "/v1/agent/renew",
    summary: "Issues the host's next certificate; the same request again gets the same one",
    audience: "agent",
    body: json(renewalRequestSchema),
    answer: answers(enrolledSchema),
    problems: [...journals, "enrolment-refused", "not-stored"],
    bodyBytesMax: RENEWAL_BYTES_MAX,
  },
  getMetadataFile: {
    ...READ,
    path: "/v1/tuf/metadata/:file",
    summary:
      "A metadata file of the mirrored repository, byte for byte; immutable but for timestamp.json",
    audience: "agent",
    params: z.object({
      file: z.string().regex(/^(?:timestamp|[1-9]\d{0,14}\.[a-z0-9][a-z0-9_-]{0,63})\.json$/, {
        error: "expected timestamp.json or <version>.<role>.json",
      }),
    }),
    answer: BYTES_ANSWER,
    problems: ["unauthenticated", "not-found"],
  },
  getTargetFile: {
    ...READ,
    path: "/v1/tuf/targets/:folder/:file",
    summary: "A file that the mirrored repository signs, by its SHA-256, byte for byte; immutable",
    audience: "agent",
    params: z.object({
      /** A channel, or `fleet`. */
      folder: channel,
      file: z
        .string()
        .regex(/^[0-9a-f]{64}(?:\.(?:[0-9a-f]{40}|current|hosts|enrolment|revocations))?\.json$/, {
          error: "expected <sha256>.json or <sha256>.<name>.json",
        }),
    }),
    answer: BYTES_ANSWER,
    problems: ["unauthenticated", "not-found"],
  },
} as const satisfies Record<string, Route>;
