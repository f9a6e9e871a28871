import { gzipSync } from "node:zlib";
import { openapi, ROUTE_NAMES, ROUTES, type Route, type RouteName } from "@nixwave/protocol";
import Fastify, { type InjectOptions } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPlane, type TestPlane } from "./endToEnd/plane.fixture.ts";
import { refuseOpenRoutes } from "./inbound/routes.ts";

let test: TestPlane;
beforeAll(async () => {
  test = await openPlane();
});
afterAll(() => test.close());

const PROTOCOL = { "nixwave-protocol": "1" };
const HOST = { ...PROTOCOL, "nixwave-host": "web-1" };
const AGENT = { ...HOST, "nixwave-journal": "0".repeat(32) };
const OPERATOR = { ...PROTOCOL, "nixwave-operator": "ops-1" };

const SAMPLE: { readonly [name: string]: string } = {
  rolloutId: `stable@${"a".repeat(40)}`,
  host: "web-1",
  channel: "stable",
  closure: `${"0".repeat(32)}-system`,
  freezeId: "0".repeat(16),
  file: `${"a".repeat(40)}.json`,
};

interface Seen {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly headers: { readonly [name: string]: unknown };
}

async function ask(options: InjectOptions): Promise<Seen> {
  const answer = await test.plane.server.inject({
    ...options,
    headers: { host: "localhost", ...options.headers },
  });
  const isProblem = answer.headers["content-type"]?.startsWith("application/problem+json") === true;
  const body: { code?: string; detail?: string } = isProblem ? answer.json() : {};
  return {
    status: answer.statusCode,
    code: body.code ?? "",
    detail: body.detail ?? "",
    headers: answer.headers,
  };
}

/** A request that the route's schema would take, as far as its path goes. */
function requestOf(name: RouteName, headers: { readonly [name: string]: string }): InjectOptions {
  const route: Route = ROUTES[name];
  const url = route.path.replaceAll(/:(\w+)/g, (_, param: string) =>
    encodeURIComponent(SAMPLE[param] ?? "x"),
  );
  return { method: route.method, url, headers };
}

const of = (audience: Route["audience"]): readonly RouteName[] =>
  ROUTE_NAMES.filter((name) => ROUTES[name].audience === audience);

describe("hazard 88: every route is closed to whoever it is not for", () => {
  it.each(of("agent"))("%s is for agents", async (name) => {
    expect(await ask(requestOf(name, PROTOCOL))).toMatchObject({
      status: 401,
      code: "unauthenticated",
    });
    expect(await ask(requestOf(name, OPERATOR))).toMatchObject({ status: 403, code: "forbidden" });
    expect(await ask(requestOf(name, { ...AGENT, ...OPERATOR }))).toMatchObject({ status: 401 });
    expect(await ask(requestOf(name, HOST))).toMatchObject({
      status: 400,
      detail: "The header Nixwave-Journal is missing: add the journal's id.",
    });
    expect(await ask(requestOf(name, { ...AGENT, "nixwave-protocol": "0" }))).toMatchObject({
      status: 426,
      code: "old-protocol",
    });
  });

  it.each(of("operator"))("%s is for operators", async (name) => {
    expect(await ask(requestOf(name, PROTOCOL))).toMatchObject({
      status: 401,
      code: "unauthenticated",
    });
    expect(await ask(requestOf(name, AGENT))).toMatchObject({ status: 403, code: "forbidden" });
    if (name === "getMetrics") return;
    expect(await ask(requestOf(name, { "nixwave-operator": "ops-1" }))).toMatchObject({
      status: 426,
      detail:
        "Nixwave-Protocol: expected 1, got none. Install a release of nixwave that speaks protocol 1.",
    });
  });

  it.each(of("public"))("%s is for everyone", async (name) => {
    // Enrolment asks for a body, and for no name.
    const status = ROUTES[name].method === "GET" ? 200 : 415;
    expect(await ask(requestOf(name, {}))).toMatchObject({ status });
  });

  it("a route without an audience does not start", async () => {
    const server = Fastify();
    refuseOpenRoutes(server);
    expect(() => server.get("/v1/back-door", () => "open")).toThrow(/declares no audience/);
    await server.close();
  });
});

describe("who calls", () => {
  it.each([
    [{ ...AGENT, "nixwave-host": "Web_1" }, 401, /^Nixwave-Host: expected an RFC 1123 name/],
    [
      { ...AGENT, "nixwave-journal": "xyz" },
      400,
      /^Nixwave-Journal: expected 32 lower-case hex digits\.$/,
    ],
    [{ ...AGENT, host: "evil.example" }, 403, /Host names "evil\.example"; without TLS only/],
  ])("%j", async (headers, status, detail) => {
    const seen = await ask({ url: "/v1/agent/dispatch?wait=0", headers });
    expect(seen.status).toBe(status);
    expect(seen.detail).toMatch(detail);
  });

  it("an operator's name is a name", async () => {
    const seen = await ask({
      url: "/v1/status",
      headers: { ...OPERATOR, "nixwave-operator": "a b" },
    });
    expect(seen).toMatchObject({ status: 401, code: "unauthenticated" });
  });
});

const BEAT = "/v1/agent/heartbeat";
const EVENTS = "/v1/agent/events";
const JSON_AGENT = { ...AGENT, "content-type": "application/json" };
const LINES_AGENT = { ...AGENT, "content-type": "application/x-ndjson" };
const JSON_OPERATOR = { ...OPERATOR, "content-type": "application/json" };
const pause = `/v1/rollouts/${SAMPLE["rolloutId"]}/pause`;

describe("bad input is one clear sentence with the place, and nothing is done", () => {
  it.each<[string, InjectOptions, number, string, RegExp]>([
    [
      "no such route",
      { url: "/v1/nothing" },
      404,
      "unknown-route",
      /^GET \/v1\/nothing: there is no such route/,
    ],
    [
      "another method",
      { method: "DELETE", url: "/v1/status" },
      405,
      "method-not-allowed",
      /takes GET, not DELETE/,
    ],
    [
      "a bad id in the path",
      { url: "/v1/rollouts/stable", headers: OPERATOR },
      400,
      "bad-request",
      /^path\.rolloutId: expected a rollout id/,
    ],
    [
      "a bad query",
      { url: "/v1/agent/dispatch?wait=121", headers: AGENT },
      400,
      "bad-request",
      /^query\.wait: /,
    ],
    [
      "a bad holding",
      { url: "/v1/agent/dispatch?holding=x", headers: AGENT },
      400,
      "bad-request",
      /^query\.holding/,
    ],
    [
      "a bad selector",
      { url: "/v1/hosts?on=%7B", headers: OPERATOR },
      400,
      "bad-request",
      /^query\.on: the selector/,
    ],
    [
      "no JSON",
      { method: "POST", url: BEAT, headers: JSON_AGENT, body: "{" },
      400,
      "bad-request",
      /^The body is not JSON/,
    ],
    [
      "no UTF-8",
      { method: "POST", url: EVENTS, headers: LINES_AGENT, body: Buffer.from([0xff]) },
      400,
      "bad-request",
      /^The body is not UTF-8/,
    ],
    [
      "a missing field",
      { method: "POST", url: BEAT, headers: JSON_AGENT, body: "{}" },
      400,
      "bad-request",
      /^body\.agentVersion: /,
    ],
    [
      "no reason",
      { method: "POST", url: pause, headers: JSON_OPERATOR, body: '{"reason":" ","until":null}' },
      400,
      "bad-request",
      /^body\.reason: expected a reason/,
    ],
    [
      "no body",
      { method: "POST", url: pause, headers: JSON_OPERATOR },
      400,
      "bad-request",
      /^(body|The body)/,
    ],
    [
      "another media type",
      { method: "POST", url: BEAT, headers: { ...AGENT, "content-type": "text/plain" }, body: "x" },
      415,
      "unsupported-media",
      /^content-type: expected application\/json, got text\/plain/,
    ],
    [
      "an unknown encoding",
      {
        method: "POST",
        url: BEAT,
        headers: { ...JSON_AGENT, "content-encoding": "br" },
        body: "x",
      },
      415,
      "unsupported-media",
      /^content-encoding br: expected gzip or none/,
    ],
    [
      "gzip that is none",
      {
        method: "POST",
        url: BEAT,
        headers: { ...JSON_AGENT, "content-encoding": "gzip" },
        body: "x",
      },
      400,
      "bad-request",
      /gzip and is not/,
    ],
    [
      "too many bytes",
      { method: "POST", url: EVENTS, headers: LINES_AGENT, body: "x\n".repeat(1024 * 1024) },
      413,
      "too-large",
      /more than 1048576 bytes/,
    ],
    [
      "a gzip bomb",
      {
        method: "POST",
        url: EVENTS,
        headers: { ...LINES_AGENT, "content-encoding": "gzip" },
        body: gzipSync("x".repeat(50_000_000)),
      },
      413,
      "too-large",
      /more than 1048576 bytes/,
    ],
    [
      "too many lines",
      { method: "POST", url: EVENTS, headers: LINES_AGENT, body: "x\n".repeat(257) },
      413,
      "too-large",
      /257 lines/,
    ],
    [
      "a line too long",
      { method: "POST", url: EVENTS, headers: LINES_AGENT, body: "x".repeat(16 * 1024 + 1) },
      413,
      "too-large",
      /^Line 1 of the body has 16385 bytes/,
    ],
    [
      "an unknown rollout",
      { method: "POST", url: pause, headers: JSON_OPERATOR, body: '{"reason":"x","until":null}' },
      404,
      "not-found",
      /^stable@a+: there is no such rollout; nixwave status/,
    ],
    [
      "an unknown host",
      { url: "/v1/hosts/nobody", headers: OPERATOR },
      404,
      "not-found",
      /^nobody: this host was never heard of/,
    ],
    [
      "a file that is not mirrored",
      { url: "/v1/tuf/metadata/9.stable.json", headers: AGENT },
      404,
      "not-found",
      /^metadata\/9\.stable\.json: the repository that is mirrored here has no such file/,
    ],
    [
      "a path out of the repository",
      { url: `/v1/tuf/targets/stable/${encodeURIComponent("../x.json")}`, headers: AGENT },
      400,
      "bad-request",
      /^path\.file: expected <sha256>\.json/,
    ],
  ])("%s", async (_what, options, status, code, detail) => {
    const seen = await ask(options);
    expect(seen).toMatchObject({ status, code });
    expect(seen.detail).toMatch(detail);
    expect(seen.detail).not.toContain("\n");
    expect(seen.headers["content-type"]).toContain("application/problem+json");
  });

  it("a pause that is over before it begins", async () => {
    const release = await test.release(
      {
        schemaVersion: 1,
        hosts: { "web-9": { system: "x86_64-linux", channel: "past", closure: SAMPLE["closure"] } },
        channels: { past: { waves: [{ select: { all: true } }] } },
      },
      "past",
    );
    const body = JSON.stringify({ reason: "x", until: "2020-01-01T00:00:00.000Z" });
    const url = `/v1/rollouts/${release.rolloutId}/pause`;
    expect(await ask({ method: "POST", url, headers: JSON_OPERATOR, body })).toMatchObject({
      status: 400,
      detail: "body.until: expected an instant in the future, or null.",
    });
  });
});

it("takes gzip", async () => {
  const body = gzipSync("not an event\n");
  const headers = { ...LINES_AGENT, "content-encoding": "gzip" };
  expect(await ask({ method: "POST", url: EVENTS, headers, body })).toMatchObject({ status: 200 });
});

it("says when to come back to a host that sends too much", async () => {
  const headers = { ...LINES_AGENT, "nixwave-host": "noisy" };
  const body = "not an event\n".repeat(256);
  for (const _ of [1, 2]) {
    expect(await ask({ method: "POST", url: EVENTS, headers, body })).toMatchObject({
      status: 200,
    });
  }
  const seen = await ask({ method: "POST", url: EVENTS, headers, body });
  expect(seen).toMatchObject({ status: 429, code: "too-many" });
  expect(seen.headers["retry-after"]).toBe("128");
});

it("answers for everything that its document lists, and no more", async () => {
  const answer = await test.plane.server.inject({
    url: "/openapi.json",
    headers: { host: "localhost" },
  });
  expect(answer.json()).toEqual(JSON.parse(JSON.stringify(openapi())));
});

it("counts commits, and names no host in a label", async () => {
  const answer = await test.plane.server.inject({
    url: "/metrics",
    headers: { host: "localhost", ...OPERATOR },
  });
  expect(answer.body).toMatch(/^nixwave_commit_seconds_count \d+$/m);
  expect(answer.body).not.toMatch(/web-1/);
});
