import { PROBLEM_MEDIA_TYPE, type Problem, problem, ROUTES } from "@nixwave/protocol";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "../ports.ts";
import { bodyProblem } from "./body.ts";
import type { Door } from "./principal.ts";
import { ProblemError } from "./problemError.ts";

/** Of a body whose sender is refused already: enough for an honest one to send it off and read why. */
const UNWANTED_BYTES_MAX = 1024 * 1024;

/** Node would read a body to its end, however long, for a request that was answered before. */
function refuseTheRest({ raw }: FastifyRequest): void {
  if (raw.complete) return;
  let bytes = 0;
  raw.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > UNWANTED_BYTES_MAX) raw.destroy();
  });
}

function send(reply: FastifyReply, document: Problem): FastifyReply {
  refuseTheRest(reply.request);
  if (document.retryAfterSecs !== null) {
    void reply.header("retry-after", String(Math.ceil(document.retryAfterSecs)));
  }
  return reply.code(document.status).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(document));
}

/** A path of the table with its parameters, as a pattern over a path that was asked for. */
const PATTERNS = Object.values(ROUTES).map(({ method, path }) => ({
  method,
  pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:[a-zA-Z]+/g, "[^/]+")}/?$`),
}));

function methodsOf(path: string): readonly string[] {
  return [
    ...new Set(PATTERNS.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
  ];
}

function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split("?")[0] ?? "";
  const methods = methodsOf(path).filter((method) => method !== request.method);
  if (methods.length === 0) {
    return send(
      reply,
      problem(
        "unknown-route",
        `${request.method} ${path}: there is no such route; /openapi.json lists them.`,
      ),
    );
  }
  void reply.header("allow", methods.join(", "));
  return send(
    reply,
    problem("method-not-allowed", `${path} takes ${methods.join(" and ")}, not ${request.method}.`),
  );
}

/** What an error of a request is to its sender. */
function problemOf(error: FastifyError, request: FastifyRequest): Problem | null {
  if (error instanceof ProblemError) return error.problem;
  const body = bodyProblem(error.code, request.routeOptions.bodyLimit);
  if (body !== null) return body.problem;
  // fastify's own refusals of a request, such as a bad percent-encoding in the path.
  const refused =
    error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500;
  return refused ? problem("bad-request", `${error.message}.`) : null;
}

/**
 * For fastify's `frameworkErrors`: a path that is not even one has no route, and fastify runs no hook for it. It is counted like every other.
 */
export const refuseBadUrl =
  ({ refuse }: Pick<Door, "refuse">) =>
  (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    try {
      refuse(request);
      send(reply, problem("bad-request", `${error.message}.`));
    } catch (cause) {
      if (!(cause instanceof ProblemError)) throw cause;
      send(reply, cause.problem);
    }
  };

/** Every error leaves as a problem document (RFC 9457); what is our bug is logged with its cause, and only there. */
export function answerProblems(server: FastifyInstance, log: Logger): void {
  server.setNotFoundHandler(notFound);
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const known = problemOf(error, request);
    if (known !== null) return send(reply, known);
    log.log("error", `${request.method} ${request.routeOptions.url ?? request.url} failed`, {
      request: request.id,
      error: error.stack ?? error.message,
    });
    return send(
      reply,
      problem(
        "internal",
        `The control plane made a mistake; its log says more at request ${request.id}.`,
      ),
    );
  });
}
