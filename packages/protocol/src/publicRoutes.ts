import { z } from "zod";
import { enrolledSchema, enrolmentRequestSchema } from "./identity/enrolmentRequest.ts";
import { answers, json, READ, type Route } from "./route.ts";

/** A request with its proof; each text in it has a limit of its own. */
export const ENROLMENT_BYTES_MAX = 16 * 1024;

/** Open to everyone: they say that a process runs and what it could be asked, nothing of the fleet; who enrols proves itself in the body. */
export const PUBLIC_ROUTES = {
  getHealth: {
    ...READ,
    path: "/healthz",
    summary: "The process runs",
    audience: "public",
    answer: answers(z.object({ status: z.literal("ok") }).readonly()),
  },
  getReady: {
    ...READ,
    path: "/readyz",
    summary: "The control plane may serve; else 503 not-ready, whose detail says what is missing",
    audience: "public",
    answer: answers(z.object({ status: z.literal("ready") }).readonly()),
  },
  getOpenapi: {
    ...READ,
    path: "/openapi.json",
    summary: "These routes as an OpenAPI 3.1 document",
    audience: "public",
    answer: answers(z.record(z.string(), z.unknown())),
  },
  enroll: {
    ...READ,
    method: "POST",
    path: "/v1/enroll",
    summary:
      "Issues a host's certificate for a proof of who it is; the same request again gets the same one",
    audience: "public",
    body: json(enrolmentRequestSchema),
    answer: answers(enrolledSchema),
    problems: ["enrolment-refused", "not-stored"],
    bodyBytesMax: ENROLMENT_BYTES_MAX,
  },
} as const satisfies Record<string, Route>;
