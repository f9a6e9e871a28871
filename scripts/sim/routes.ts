import type { HttpAnswer, HttpRequest } from "@nixwave/agent";
import { type AgentCaller, type AgentHandlers, ProblemError, type Reader } from "@nixwave/cp";
import { isHostName, isJournalId } from "@nixwave/effects";
import {
  decodeRequest,
  encodeAnswer,
  HEADER,
  PROBLEM_MEDIA_TYPE,
  type Problem,
  problem,
} from "@nixwave/protocol";
import type { ReleaseRepository } from "./repository.ts";

/** The server without its sockets: the routes' own schemas, the app's own handlers, and the bytes of bodies as they are. */
export async function route(
  request: HttpRequest,
  server: { readonly handlers: AgentHandlers; readonly repository: ReleaseRepository },
  gone: AbortSignal,
): Promise<HttpAnswer> {
  const target = request.url.slice(request.url.indexOf("/v1/"));
  const mark = target.indexOf("?");
  const path = mark === -1 ? target : target.slice(0, mark);
  try {
    if (path.startsWith(RELEASES)) return releaseFile(server.repository, path);
    if (path.startsWith(MIRROR)) return await mirroredFile(server.handlers, path, gone, request);
    const caller = callerOf(request, gone);
    const query =
      mark === -1 ? {} : Object.fromEntries(new URLSearchParams(target.slice(mark + 1)));
    switch (path) {
      case "/v1/agent/dispatch": {
        const asked = granted(decodeRequest("getDispatch", { params: {}, query, body: null }));
        const answer = await server.handlers.getDispatch(asked, caller);
        return answer === null ? NOTHING : json(encodeAnswer("getDispatch", answer));
      }
      case "/v1/agent/events": {
        const body = String(request.body);
        const asked = granted(decodeRequest("postEvents", { params: {}, query, body }));
        return json(encodeAnswer("postEvents", await server.handlers.postEvents(asked, caller)));
      }
      case "/v1/agent/heartbeat": {
        const body: unknown = JSON.parse(String(request.body));
        const asked = granted(decodeRequest("postHeartbeat", { params: {}, query, body }));
        const answer = await server.handlers.postHeartbeat(asked, caller);
        return json(encodeAnswer("postHeartbeat", answer));
      }
      case "/v1/agent/logs":
        return NOTHING;
      default:
        return refusal(problem("unknown-route", `${path} is no route`));
    }
  } catch (cause) {
    if (cause instanceof ProblemError) return refusal(cause.problem);
    throw cause;
  }
}

const RELEASES = "/v1/releases/";
export const MIRROR = "/v1/tuf/";
const utf8 = new TextEncoder();
export const NOTHING: HttpAnswer = { status: 204, headers: {}, body: new Uint8Array() };

function releaseFile(repository: ReleaseRepository, path: string): HttpAnswer {
  const found = repository.read(path.slice(RELEASES.length));
  return found === null ? notFound(path) : bytes(found);
}

/** Of the signed repository, as the control plane has mirrored it. */
async function mirroredFile(
  handlers: AgentHandlers,
  path: string,
  gone: AbortSignal,
  request: HttpRequest,
): Promise<HttpAnswer> {
  const caller = callerOf(request, gone);
  const [kind, first = "", second = ""] = path.slice(MIRROR.length).split("/");
  const given = { query: {}, body: null };
  if (kind === "metadata") {
    const asked = granted(decodeRequest("getMetadataFile", { ...given, params: { file: first } }));
    return bytes(await handlers.getMetadataFile(asked, caller));
  }
  const params = { folder: first, file: second };
  const asked = granted(decodeRequest("getTargetFile", { ...given, params }));
  return bytes(await handlers.getTargetFile(asked, caller));
}

const bytes = (body: Uint8Array): HttpAnswer => ({ status: 200, headers: {}, body });

function callerOf({ headers }: HttpRequest, gone: AbortSignal): AgentCaller {
  const name = headers[HEADER.host] ?? "";
  const journalId = headers[HEADER.journal] ?? "";
  if (!isHostName(name) || !isJournalId(journalId))
    throw ProblemError.of("bad-request", "a request without a host or a journal");
  return { principal: { kind: "host", name, role: null }, journalId, gone };
}

function granted<T>(
  decoded:
    | { readonly ok: true; readonly value: T }
    | { readonly ok: false; readonly error: Problem },
): T {
  if (decoded.ok) return decoded.value;
  throw new ProblemError(decoded.error);
}

export const json = (value: unknown): HttpAnswer => ({
  status: 200,
  headers: { "content-type": "application/json" },
  body: utf8.encode(JSON.stringify(value)),
});

export const refusal = (document: Problem): HttpAnswer => ({
  status: document.status,
  headers: { "content-type": PROBLEM_MEDIA_TYPE },
  body: utf8.encode(JSON.stringify(document)),
});

export const notFound = (path: string): HttpAnswer =>
  refusal(problem("not-found", `${path} is not here`));

const unread = (): never => {
  throw new Error("the simulator's routes read nothing but the writer");
};

/** The agent's routes ask the reader only where a unit's output comes, and the simulator takes that itself. */
export const NO_READER: Reader = {
  rollouts: unread,
  rollout: unread,
  recordsOf: unread,
  marksOf: unread,
  recordsOfHost: unread,
  dispatchesOfHost: unread,
  transitions: unread,
  quarantines: unread,
  freezes: unread,
  hosts: unread,
  host: unread,
  events: unread,
  logBeginsAt: unread,
  close: unread,
};
