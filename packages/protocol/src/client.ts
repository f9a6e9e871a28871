import { err, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import { type Problem, problemSchema, sentence } from "./problem.ts";
import type { Route } from "./route.ts";
import {
  type AnswerOf,
  type BodyOf,
  HEADER,
  type ParamsOf,
  PROTOCOL_MAJOR,
  type QueryOf,
  ROUTES,
  type RouteName,
} from "./routes.ts";

/** The port to the network: a fetch that gives all of an answer, or throws. */
export type FetchPort = (request: {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  readonly signal: AbortSignal | null;
}) => Promise<{
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}>;

/** No answer of the CP was had: nobody listens, the connection broke, or somebody else answered. */
export interface Unreachable {
  readonly code: "unreachable";
  readonly detail: string;
  readonly cause: unknown;
}

type Empty = Record<string, never>;
/** Each part may be left out where nothing in it is required. */
type Part<K extends string, T> = [T] extends [undefined]
  ? { readonly [P in K]?: undefined }
  : Empty extends T
    ? { readonly [P in K]?: T }
    : { readonly [P in K]: T };

/** `body` of ndjson and text routes is sent as it is. */
export type CallOf<N extends RouteName> = Part<"params", ParamsOf<N>> &
  Part<"query", QueryOf<N>> &
  Part<"body", BodyOf<N>> & { readonly signal?: AbortSignal };

export interface Client {
  /** Calls a route; the answer has passed its schema, so its instants and ids are those of packages/effects. */
  call<N extends RouteName>(
    name: N,
    request: CallOf<N>,
  ): Promise<Result<AnswerOf<N>, Problem | Unreachable>>;
}

interface AnyCall {
  readonly params?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** `headers` are those that say who calls: a bearer token, or Nixwave-Host; with Nixwave-Journal for an agent. */
export function client(
  base: string,
  fetchPort: FetchPort,
  headers: () => Readonly<Record<string, string>>,
): Client {
  // The signature of Client holds, because call's answer has passed the schema from which its type is inferred.
  function call<N extends RouteName>(
    name: N,
    request: CallOf<N>,
  ): Promise<Result<AnswerOf<N>, Problem | Unreachable>>;
  async function call(
    name: RouteName,
    request: AnyCall,
  ): Promise<Result<unknown, Problem | Unreachable>> {
    const route: Route = ROUTES[name];
    const url = `${base.replace(/\/$/, "")}${targetOf(route, request)}`;
    const body = bodyOf(route, request.body);
    try {
      const answer = await fetchPort({
        url,
        method: route.method,
        headers: {
          [HEADER.protocol]: String(PROTOCOL_MAJOR),
          accept: "application/json, application/problem+json, */*",
          ...(body === null ? {} : { "content-type": MEDIA_TYPE[route.body.kind] }),
          ...headers(),
        },
        body,
        signal: request.signal ?? null,
      });
      return read(route, url, answer);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      return err({ code: "unreachable", detail: `no answer from ${base}: ${why}`, cause });
    }
  }
  return { call };
}

const MEDIA_TYPE = {
  none: "",
  json: "application/json",
  ndjson: "application/x-ndjson",
  text: "text/plain; charset=utf-8",
} as const satisfies Record<Route["body"]["kind"], string>;

const utf8 = new TextDecoder();
const text = z.string();
const texts = z.record(text, text.optional());
const NOTHING = {};

/** Path and query of a request. A parameter that its schema refuses is the caller's bug, and throws. */
function targetOf(route: Route, { params, query }: AnyCall): string {
  const inPath = spelled(route.params, params);
  const path = route.path.includes(":")
    ? route.path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(inPath[name] ?? ""))
    : route.path;
  const pairs = Object.entries(spelled(route.query, query)).flatMap(
    ([name, value]): readonly [string, string][] => (value === undefined ? [] : [[name, value]]),
  );
  return pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs).toString()}`;
}

/** Most routes take no parameters, and most callers of the others give none: those are spelled once. */
function spelled(schema: Route["params"], given: unknown): z.output<typeof texts> {
  const known = given === undefined ? WITHOUT.get(schema) : undefined;
  if (known !== undefined) return known;
  const made = texts.parse(z.encode(schema, given ?? NOTHING));
  if (given === undefined) WITHOUT.set(schema, made);
  return made;
}
const WITHOUT = new WeakMap<Route["params"], z.output<typeof texts>>();

function bodyOf(route: Route, body: unknown): string | null {
  switch (route.body.kind) {
    case "none":
      return null;
    case "json":
      return JSON.stringify(z.encode(route.body.schema, body));
    case "ndjson":
    case "text":
      return text.parse(body);
  }
}

function read(
  route: Route,
  url: string,
  answer: Awaited<ReturnType<FetchPort>>,
): Result<unknown, Problem | Unreachable> {
  if (answer.status < 200 || answer.status > 299) return err(readProblem(url, answer));
  const raw = rawAnswer(route, answer);
  if (!raw.ok) return err(strange(url, raw.error));
  const decoded = route.answer.schema.safeParse(raw.value);
  return decoded.success ? ok(decoded.data) : err(strange(url, sentence(decoded.error, "answer")));
}

function rawAnswer(
  route: Route,
  { status, body }: Awaited<ReturnType<FetchPort>>,
): Result<unknown, string> {
  switch (route.answer.kind) {
    case "bytes":
      return ok(body);
    case "event-stream":
      return err("it streams; connect with a reader of server-sent events");
    case "text":
      return ok(utf8.decode(body));
    case "none":
      return ok(null);
    case "json-or-none":
      return status === 204 ? ok(null) : parse(body);
    case "json":
      return parse(body);
  }
}

function parse(body: Uint8Array): Result<unknown, string> {
  try {
    const json: unknown = JSON.parse(utf8.decode(body));
    return ok(json);
  } catch {
    return err("its answer is not JSON");
  }
}

function readProblem(
  url: string,
  { status, body }: Awaited<ReturnType<FetchPort>>,
): Problem | Unreachable {
  const json = parse(body);
  const problem = json.ok ? problemSchema.safeParse(json.value) : null;
  if (problem?.success === true) return problem.data;
  return strange(url, `it answered ${status} without a problem document`);
}

const strange = (url: string, why: string): Unreachable => ({
  code: "unreachable",
  detail: `${url} does not speak this protocol: ${why}`,
  cause: null,
});
