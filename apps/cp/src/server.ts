import Fastify, { type FastifyInstance, type FastifyServerFactory } from "fastify";
import { takeBodies } from "./inbound/body.ts";
import type { Handlers } from "./inbound/handlers.ts";
import type { InFlight } from "./inbound/inFlight.ts";
import type { Door } from "./inbound/principal.ts";
import { ProblemError } from "./inbound/problemError.ts";
import { answerProblems, refuseBadUrl } from "./inbound/problems.ts";
import { registerRoutes } from "./inbound/routes.ts";
import type { Logger } from "./ports.ts";

export interface ServerPorts {
  readonly handlers: Handlers;
  readonly door: Door;
  /** Makes the listener's server; null for plain HTTP. */
  readonly listener: FastifyServerFactory | null;
  readonly log: Logger;
  readonly inFlight: InFlight;
  /** True from the signal on: what comes then is answered 503 `stopping`. */
  readonly stopping: () => boolean;
}

/** A closure has up to 243 characters and a host name 253; percent-encoded, each may take three. */
const PARAM_LENGTH_MAX = 1024;
/** A request is a megabyte at most; one that takes longer than this to arrive holds a socket for nothing. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Its headers are one packet or two. Also how long a new connection may wait before it asks anything. */
const HEADERS_TIMEOUT_MS = 15_000;
/** Neither a byte came nor was one taken: more than the longest poll, and many beats of a stream. */
const SILENCE_MS_MAX = 180_000;
/** Longer than any poll, so that an agent keeps its socket from one poll to the next. */
const KEEP_ALIVE_MS = 150_000;

/** The HTTP side, ready for `listen` or `inject`: the route table, behind the hooks that hold for every route. */
export function createServer(ports: ServerPorts): FastifyInstance {
  const server = Fastify({
    logger: false,
    ...(ports.listener === null ? {} : { serverFactory: ports.listener }),
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Ours says `stopping` as a problem document, with Retry-After.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    frameworkErrors: refuseBadUrl(ports.door),
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
  });
  // Fastify sets these on a server of its own making only.
  server.server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.server.timeout = SILENCE_MS_MAX;
  ports.inFlight.watch(server);
  server.addHook("onRequest", async (request, reply) => {
    ports.door.refuse(request);
    if (!ports.stopping()) return;
    void reply.header("connection", "close");
    throw ProblemError.of("stopping", "The control plane is stopping: try again when it is back.");
  });
  takeBodies(server);
  answerProblems(server, ports.log);
  registerRoutes(server, ports.handlers, ports.door);
  return server;
}
