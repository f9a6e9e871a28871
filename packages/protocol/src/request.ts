import { err, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import { type Problem, problem, sentence } from "./problem.ts";
import type { Route } from "./route.ts";
import { type AnswerOf, type RequestOf, ROUTES, type RouteName } from "./routes.ts";

/** A request as a server got it: texts from path and query, the body as JSON or, for ndjson and text, undefined. */
export interface RawRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

/**
 * Decodes a request of a route; the problem's sentence names the field. Bodies of ndjson and text are left to the
 * caller, who reads them by bytes.
 */
export function decodeRequest<N extends RouteName>(
  name: N,
  raw: RawRequest,
): Result<RequestOf<N>, Problem>;
// The signature above is what callers see: each part has passed the schema from which its type is inferred.
export function decodeRequest(name: RouteName, raw: RawRequest): Result<unknown, Problem> {
  const route: Route = ROUTES[name];
  const params = route.params.safeParse(raw.params ?? {});
  if (!params.success) return err(problem("bad-request", sentence(params.error, "path")));
  const query = route.query.safeParse(raw.query ?? {});
  if (!query.success) return err(problem("bad-request", sentence(query.error, "query")));
  if (route.body.kind !== "json") {
    return ok({ params: params.data, query: query.data, body: raw.body });
  }
  const body = route.body.schema.safeParse(raw.body);
  if (!body.success) return err(problem("bad-request", sentence(body.error, "body")));
  return ok({ params: params.data, query: query.data, body: body.data });
}

/** What goes out as JSON for an answer: ids as texts, instants as RFC 3339. */
export function encodeAnswer<N extends RouteName>(name: N, answer: AnswerOf<N>): unknown;
export function encodeAnswer(name: RouteName, answer: unknown): unknown {
  const route: Route = ROUTES[name];
  return z.encode(route.answer.schema, answer);
}
