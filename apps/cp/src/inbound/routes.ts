import { createHash } from "node:crypto";
import { invariant } from "@nixwave/effects";
import {
  type AnswerOf,
  type Audience,
  decodeRequest,
  encodeAnswer,
  ROUTE_NAMES,
  ROUTES,
  type Role,
  type Route,
  type RouteName,
  type StreamStart,
} from "@nixwave/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { CallerOf, Handler, Handlers, NamesOf } from "./handlers.ts";
import { admitAgent, admitOperator, type Door, refuseOtherProtocols } from "./principal.ts";
import { ProblemError } from "./problemError.ts";

/** A year: the name of the file says which bytes it has. */
const IMMUTABLE = "public, max-age=31536000, immutable";

/** The two names whose bytes change; below its hash a file has one content for ever, whatever it is called. */
const CHANGES = /\/(?:current|timestamp)\.json$/;

function sendBytes(bytes: Uint8Array, { request, reply }: Exchange): FastifyReply {
  const etag = `"${createHash("sha256").update(bytes).digest("hex")}"`;
  void reply
    .header("etag", etag)
    .header("cache-control", CHANGES.test(request.url) ? "no-cache" : IMMUTABLE);
  if (request.headers["if-none-match"] === etag) return reply.code(304).send();
  return reply.type("application/json").send(Buffer.from(bytes));
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

const isStreamStart = (value: unknown): value is StreamStart => typeof value === "function";

/** The answer begins at once and has no end of its own; what is written to it is the handler's. */
function stream(start: StreamStart, { request, reply }: Exchange): FastifyReply {
  const { raw } = reply.hijack();
  raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  raw.flushHeaders();
  const id = request.headers["last-event-id"];
  start({
    lastEventId: typeof id === "string" && id !== "" ? id : null,
    waitingBytes: () => raw.writableLength,
    write: (text) => void raw.write(text),
    end: () => void raw.destroy(),
    gone: goneSignal(reply),
  });
  return reply;
}

/** Writes what the handler answered, through the route's own schema: what does not fit it is our bug and never leaves. */
function send<N extends RouteName>(name: N, answer: AnswerOf<N>, exchange: Exchange): FastifyReply {
  const { reply } = exchange;
  const route: Route = ROUTES[name];
  const encoded = encodeAnswer(name, answer);
  switch (route.answer.kind) {
    case "none":
      return reply.code(204).send();
    case "json-or-none":
      if (encoded === null) return reply.code(204).send();
      return reply.type("application/json").send(JSON.stringify(encoded));
    case "json":
      return reply.type("application/json").send(JSON.stringify(encoded));
    case "text":
      return reply.type("text/plain; charset=utf-8").send(String(encoded));
    case "event-stream":
      if (isStreamStart(encoded)) return stream(encoded, exchange);
      throw new TypeError(`${name} answers a stream and its handler gave none`);
    case "bytes":
      if (encoded instanceof Uint8Array) return sendBytes(encoded, exchange);
      throw new TypeError(`${name} answers bytes and its handler gave none`);
  }
}

/** Made once: every answer closes its connection's wait, and an error with a stack for each costs more than the wait. */
const GONE = new Error("the caller has gone");

/** Aborts when the connection is over, so that nothing waits for an agent that has gone. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => controller.abort(GONE));
  return controller.signal;
}

type Admit<A extends Audience> = (exchange: Exchange, role: Role | null) => CallerOf<A>;

const admitToAgentRoute =
  (door: Door): Admit<"agent"> =>
  ({ request, reply }) => {
    refuseOtherProtocols(request.headers);
    return admitAgent(door, request, goneSignal(reply));
  };

const admitToOperatorRoute =
  (door: Door): Admit<"operator"> =>
  ({ request }, role) => {
    // A route for operators that names no role is for none of them.
    if (role === null)
      throw ProblemError.of("forbidden", "This route names no role: nobody may use it.");
    // Prometheus can't be taught our header, and reads nothing that has a version of ours.
    if (request.routeOptions.url !== ROUTES.getMetrics.path) refuseOtherProtocols(request.headers);
    return admitOperator(door, request, role);
  };

const admitToPublicRoute: Admit<"public"> = ({ request }) => ({
  principal: null,
  address: request.ip,
});

const isFor =
  <A extends Audience>(audience: A) =>
  (name: RouteName): name is NamesOf<A> =>
    ROUTES[name].audience === audience;

/** The caller is made before a byte of the body is read, and a handler can't be reached without one. */
function registerRoute<N extends RouteName, A extends Audience>(
  server: FastifyInstance,
  name: N,
  { handler, admit }: { readonly handler: Handler<N, A>; readonly admit: Admit<A> },
): void {
  const route: Route = ROUTES[name];
  const callers = new WeakMap<FastifyRequest, CallerOf<A>>();
  server.route({
    method: route.method,
    url: route.path,
    config: { routeName: name },
    ...(route.bodyBytesMax > 0 ? { bodyLimit: route.bodyBytesMax } : {}),
    onRequest: async (request, reply) => {
      callers.set(request, admit({ request, reply }, route.role));
    },
    handler: async (request, reply) => {
      const caller = callers.get(request);
      invariant(caller !== undefined, `${name} is reached by admitted callers only`);
      const decoded = decodeRequest(name, request);
      if (!decoded.ok) throw new ProblemError(decoded.error);
      return send(name, await handler(decoded.value, caller), { request, reply });
    },
  });
}

/** A route that the table does not give an audience stops the start (hazard 88: deny by default). */
export function refuseOpenRoutes(server: FastifyInstance): void {
  server.addHook("onRoute", ({ config, method, url }) => {
    const { routeName } = config ?? {};
    const audience: string | null = routeName === undefined ? null : ROUTES[routeName].audience;
    invariant(
      audience === "agent" || audience === "operator" || audience === "public",
      `the route ${String(method)} ${url} declares no audience: add it to the table in packages/protocol`,
    );
  });
}

/** Registers every route of the table. */
export function registerRoutes(server: FastifyInstance, handlers: Handlers, door: Door): void {
  refuseOpenRoutes(server);
  for (const name of ROUTE_NAMES.filter(isFor("agent"))) {
    registerRoute(server, name, { handler: handlers.agent[name], admit: admitToAgentRoute(door) });
  }
  for (const name of ROUTE_NAMES.filter(isFor("operator"))) {
    registerRoute(server, name, {
      handler: handlers.operator[name],
      admit: admitToOperatorRoute(door),
    });
  }
  for (const name of ROUTE_NAMES.filter(isFor("public"))) {
    registerRoute(server, name, { handler: handlers.public[name], admit: admitToPublicRoute });
  }
}
