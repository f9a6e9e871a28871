import { z } from "zod";
import { answers, READ, type Route } from "./route.ts";

/** Open to everyone: they say that a process runs and what it could be asked, nothing of the fleet. */
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
} as const satisfies Record<string, Route>;
