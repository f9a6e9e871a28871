import { createGunzip } from "node:zlib";
import { ROUTES, type RouteBody, type RouteName } from "@nixwave/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ProblemError } from "./problemError.ts";

const MEDIA_TYPE = {
  none: null,
  json: "application/json",
  ndjson: "application/x-ndjson",
  text: "text/plain",
} as const satisfies Record<RouteBody["kind"], string | null>;

/** What every route of ours carries; the server refuses to start with one that does not. */
declare module "fastify" {
  interface FastifyContextConfig {
    readonly routeName?: RouteName;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function text(body: Buffer): string {
  try {
    return utf8.decode(body);
  } catch {
    throw ProblemError.of("bad-request", "The body is not UTF-8: send it encoded as UTF-8.");
  }
}

function json(body: Buffer): unknown {
  const source = text(body);
  try {
    return JSON.parse(source);
  } catch {
    throw ProblemError.of("bad-request", "The body is not JSON: expected one JSON object.");
  }
}

function mediaTypeOf(request: FastifyRequest): string | null {
  return request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase() ?? null;
}

/** Before a byte is parsed: a body of another media type would get a sentence about the wrong mistake. */
function refuseOtherMedia(request: FastifyRequest): void {
  const { routeName } = request.routeOptions.config;
  if (routeName === undefined) return;
  const expected = MEDIA_TYPE[ROUTES[routeName].body.kind];
  const got = mediaTypeOf(request);
  if (expected === null || got === expected) return;
  throw ProblemError.of(
    "unsupported-media",
    `content-type: expected ${expected}, got ${got ?? "none"}. Set the header.`,
  );
}

/**
 * Bodies by media type, gzip taken. The limit on the inflated size is the route's body limit, which fastify counts on
 * the stream that this returns: it stops reading there, so a bomb is never inflated further.
 */
export function takeBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  const raw = { parseAs: "buffer" } as const;
  server.addContentTypeParser(
    "application/json",
    raw,
    async (_request: FastifyRequest, body: Buffer) => json(body),
  );
  server.addContentTypeParser(
    "application/x-ndjson",
    raw,
    async (_request: FastifyRequest, body: Buffer) => text(body),
  );
  server.addContentTypeParser("text/plain", raw, async (_request: FastifyRequest, body: Buffer) =>
    text(body),
  );

  server.addHook("preParsing", async (request, _reply, payload) => {
    if (request.method === "GET") return payload;
    refuseOtherMedia(request);
    const encoding = request.headers["content-encoding"];
    if (encoding === undefined || encoding === "identity") return payload;
    if (encoding !== "gzip") {
      throw ProblemError.of(
        "unsupported-media",
        `content-encoding ${encoding}: expected gzip or none.`,
      );
    }
    let received = 0;
    const gunzip = createGunzip();
    // fastify listens only while it reads; it may refuse the request before that, and an error that nobody hears ends the process.
    gunzip.on("error", () => undefined);
    payload.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    payload.on("error", (cause) => gunzip.destroy(cause));
    // fastify compares this with Content-Length, which counts the bytes before inflation.
    Object.defineProperty(gunzip, "receivedEncodedLength", { get: () => received });
    payload.pipe(gunzip);
    return gunzip;
  });
}

/** fastify's own refusals, in our words; null for what is no refusal but a failure. */
export function bodyProblem(code: string, limit: number): ProblemError | null {
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return ProblemError.of(
        "too-large",
        `The body has more than ${limit} bytes, which is the limit of this route. Send less at once.`,
      );
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return ProblemError.of(
        "unsupported-media",
        `content-type: expected one of ${Object.values(MEDIA_TYPE)
          .filter((type) => type !== null)
          .join(", ")}.`,
      );
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return ProblemError.of("bad-request", "Content-Length is not the body's length: correct it.");
    case "Z_DATA_ERROR":
    case "Z_BUF_ERROR":
      return ProblemError.of(
        "bad-request",
        "The body says that it is gzip and is not: compress it anew.",
      );
    default:
      return null;
  }
}
