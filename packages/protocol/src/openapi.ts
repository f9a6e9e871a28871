import { z } from "zod";
import { PROBLEM_MEDIA_TYPE, PROBLEMS, type ProblemCode, problemSchema } from "./problem.ts";
import { EVERY_ROUTE, type Route } from "./route.ts";
import { PROTOCOL_MAJOR, ROUTE_NAMES, ROUTES } from "./routes.ts";
import { rolloutMoved } from "./stream.ts";

/** The routes as an OpenAPI 3.1 document: what /openapi.json answers. */
export function openapi(): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const name of ROUTE_NAMES) {
    const route: Route = ROUTES[name];
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(name, route) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Nixwave", version: String(PROTOCOL_MAJOR) },
    paths,
    components: { schemas: { Problem: onTheWire(problemSchema) } },
  };
}

function operation(name: string, route: Route): Record<string, unknown> {
  const body = MEDIA_TYPE[route.body.kind];
  return {
    operationId: name,
    summary: route.summary,
    tags: [route.audience],
    "x-nixwave-role": route.role,
    parameters: [
      ...parameters("path", onTheWire(route.params)),
      ...parameters("query", onTheWire(route.query)),
    ],
    ...(body === null
      ? {}
      : {
          requestBody: {
            required: true,
            content: { [body]: { schema: onTheWire(route.body.schema) } },
          },
        }),
    responses: { ...answer(route), ...problems([...EVERY_ROUTE, ...route.problems]) },
  };
}

const MEDIA_TYPE = {
  none: null,
  json: "application/json",
  ndjson: "application/x-ndjson",
  text: "text/plain",
} as const satisfies Record<Route["body"]["kind"], string | null>;

/** Both of a request and of an answer the schema's input is what is sent: its output is what lies in memory. */
function onTheWire(schema: z.ZodType): z.core.JSONSchema.BaseSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
}

function parameters(where: "path" | "query", object: z.core.JSONSchema.BaseSchema): unknown[] {
  const required = object.required ?? [];
  return Object.entries(object.properties ?? {}).map(([name, schema]) => ({
    name,
    in: where,
    required: where === "path" || required.includes(name),
    schema,
  }));
}

function answer({ answer: { kind, status, schema } }: Route): Record<string, unknown> {
  const none = { description: "Nothing to say" };
  switch (kind) {
    case "none":
      return { [status]: none };
    case "json":
      return { [status]: content("application/json", onTheWire(schema)) };
    case "json-or-none":
      return { [status]: content("application/json", onTheWire(schema)), 204: none };
    case "text":
      return { [status]: content("text/plain", { type: "string" }) };
    case "event-stream":
      return { [status]: content("text/event-stream", onTheWire(rolloutMoved)) };
    case "bytes":
      return { [status]: content("application/octet-stream", {}) };
  }
}

const content = (type: string, schema: unknown) => ({
  description: "Done",
  content: { [type]: { schema } },
});

/** Codes that share a status are one answer there. */
function problems(codes: readonly ProblemCode[]): Record<string, unknown> {
  const byStatus: Record<string, unknown> = {};
  for (const status of new Set(codes.map((code) => PROBLEMS[code].status))) {
    const those = codes.filter((code) => PROBLEMS[code].status === status);
    byStatus[status] = {
      description: those.map((code) => `${code}: ${PROBLEMS[code].title}`).join("; "),
      content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: "#/components/schemas/Problem" } } },
    };
  }
  return byStatus;
}
