import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { instant } from "@nixwave/effects";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { client, type FetchPort } from "./client.ts";
import { cpuMs } from "./cpu.fixture.ts";
import * as ids from "./ids.ts";
import { problem } from "./problem.ts";
import { decodeRequest, encodeAnswer } from "./request.ts";
import { ROUTES, type RouteName } from "./routes.ts";
import { rolloutSummary } from "./views.ts";
import { wireOf } from "./wire.fixture.ts";

const rolloutId = ids.rolloutIdText.parse(`stable@${"9f3c2ab0".repeat(5)}`);
const [aSummary] = fc.sample(wireOf(rolloutSummary), { numRuns: 1, seed: 7 });
const summary = rolloutSummary.parse(aSummary);

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** What a server says to any request: it sees the request as it came. */
type Say = (request: {
  method: string;
  url: URL;
  headers: IncomingMessage["headers"];
  body: string;
}) => {
  status: number;
  body: string;
};

async function serve(say: Say): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const url = new URL(request.url ?? "/", "http://cp");
      const { method = "", headers } = request;
      const said = say({ method, url, headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(said.status).end(said.body);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address: AddressInfo | string | null = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : address}`;
}

const overFetch: FetchPort = async ({ url, method, headers, body, signal }) => {
  const answer = await fetch(url, { method, headers, body, signal });
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: new Uint8Array(await answer.arrayBuffer()),
  };
};
test("whatever a server answers, the client gives a value or an error with a code", async () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
    wireOf(rolloutSummary).map((value) => new TextEncoder().encode(JSON.stringify(value))),
    fc
      .tuple(fc.string(), fc.jsonValue(), fc.jsonValue())
      .map(([type, code, detail]) => JSON.stringify({ type, code, detail, status: 400 }))
      .map((text) => new TextEncoder().encode(text)),
  );
  const status = fc.constantFrom(200, 204, 301, 400, 401, 404, 429, 500, 503, 599);
  const headers = fc.record({
    "content-type": fc.constantFrom("application/json", "application/problem+json", "text/html"),
    "retry-after": fc.string(),
  });
  await fc.assert(
    fc.asyncProperty(fc.record({ status, headers, body }), async (answer) => {
      const began = cpuMs();
      const asked = client(
        "http://cp",
        async () => answer,
        () => ({}),
      );
      const ways = [
        await asked.call("getStatus", {}),
        await asked.call("cancelRollout", { params: { rolloutId }, body: { reason: "x" } }),
        await asked.call("getDispatch", { query: { wait: 0 } }),
        await asked.call("getMetadataFile", { params: { file: "timestamp.json" } }),
      ];
      for (const said of ways) if (!said.ok) expect(said.error.code).toMatch(/^[a-z-]+$/);
      expect(cpuMs() - began).toBeLessThan(500);
    }),
    { numRuns: 500 },
  );
});

const calling = (base: string) => client(base, overFetch, () => ({ authorization: "Bearer t" }));

/** The server's half as the CP has it: one route, its request decoded, its answer encoded. */
function route<N extends RouteName>(
  name: N,
  answer: Parameters<typeof encodeAnswer<N>>[1],
  seen: unknown[],
): Say {
  const names = [...ROUTES[name].path.matchAll(/:(\w+)/g)].map(([, key = ""]) => key);
  const pattern = new RegExp(`^${ROUTES[name].path.replace(/:\w+/g, "([^/]+)")}$`);
  return ({ method, url, body }) => {
    const values = pattern.exec(url.pathname)?.slice(1) ?? [];
    expect({ method, found: pattern.test(url.pathname) }).toEqual({
      method: ROUTES[name].method,
      found: true,
    });
    const params = Object.fromEntries(
      names.map((key, at) => [key, decodeURIComponent(values[at] ?? "")]),
    );
    const query = Object.fromEntries(url.searchParams);
    const request = decodeRequest(name, {
      params,
      query,
      body: body === "" ? undefined : JSON.parse(body),
    });
    seen.push(request);
    if (!request.ok) return { status: 400, body: JSON.stringify(request.error) };
    return { status: 200, body: JSON.stringify(encodeAnswer(name, answer)) };
  };
}

test("what a client asks is what a server reads, and the answer comes back in memory's form", async () => {
  const seen: unknown[] = [];
  const cp = calling(await serve(route("pauseRollout", summary, seen)));
  const until = instant(1_795_525_200_000);
  const answer = await cp.call("pauseRollout", {
    params: { rolloutId },
    body: { reason: "a look", until },
  });
  expect(answer).toEqual({ ok: true, value: summary });
  expect(seen).toEqual([
    { ok: true, value: { params: { rolloutId }, query: {}, body: { reason: "a look", until } } },
  ]);
});

test("a query goes over with its numbers, and an absent part stays absent", async () => {
  const seen: unknown[] = [];
  const cp = calling(await serve(route("getDispatch", null, seen)));
  const holding = { rolloutId, attempt: ids.attempt.parse(3) };
  expect(await cp.call("getDispatch", { query: { wait: 60, holding } })).toEqual({
    ok: true,
    value: null,
  });
  expect(await cp.call("getDispatch", {})).toEqual({ ok: true, value: null });
  expect(seen).toEqual([
    { ok: true, value: { params: {}, query: { wait: 60, holding } } },
    { ok: true, value: { params: {}, query: {} } },
  ]);
});

test("lines and headers go as they are", async () => {
  const requests: { headers: IncomingMessage["headers"]; body: string }[] = [];
  const base = await serve((request) => {
    requests.push(request);
    return { status: 200, body: '{"streams":{},"badLines":[]}' };
  });
  await calling(`${base}/`).call("postEvents", { body: "{}\n{}\n" });
  expect(requests).toMatchObject([
    {
      body: "{}\n{}\n",
      headers: {
        authorization: "Bearer t",
        "nixwave-protocol": "1",
        "content-type": "application/x-ndjson",
      },
    },
  ]);
});

test("a problem comes back as it was said", async () => {
  const said = problem("conflict", "stable@9f3c2ab is not paused");
  const cp = calling(await serve(() => ({ status: said.status, body: JSON.stringify(said) })));
  expect(await cp.call("getStatus", {})).toEqual({ ok: false, error: said });
});

test.each([
  ["an answer that is not JSON", { status: 200, body: "<html>" }, "not JSON"],
  [
    "an answer of another shape",
    { status: 200, body: "{}" },
    "does not speak this protocol: answer.now",
  ],
  ["an error page", { status: 502, body: "Bad Gateway" }, "answered 502 without a problem"],
  ["a problem of another protocol", { status: 400, body: '{"code":"teapot"}' }, "answered 400"],
])("%s is no answer", async (_, said, detail) => {
  const cp = calling(await serve(() => said));
  const answer = await cp.call("getStatus", {});
  expect(answer).toMatchObject({
    ok: false,
    error: { code: "unreachable", detail: expect.stringContaining(detail) },
  });
});

test("nobody there, or a call that was given up, is unreachable", async () => {
  const refused = await calling("http://127.0.0.1:1").call("getHealth", {});
  expect(refused).toMatchObject({ error: { code: "unreachable" } });
  const signal = AbortSignal.abort();
  const base = await serve(() => ({ status: 200, body: "" }));
  expect(await calling(base).call("getHealth", { signal })).toMatchObject({
    error: { code: "unreachable" },
  });
});

test("a request that a route does not take is refused with the field that is wrong", () => {
  const body = { reason: " ", until: null };
  expect(decodeRequest("pauseRollout", { params: { rolloutId }, query: {}, body })).toMatchObject({
    error: {
      code: "bad-request",
      detail: expect.stringContaining("body.reason: expected a reason"),
    },
  });
  expect(
    decodeRequest("getRollout", { params: { rolloutId: "stable@1" }, query: {}, body: undefined }),
  ).toMatchObject({
    error: { detail: expect.stringContaining("path.rolloutId: expected a rollout id") },
  });
  expect(
    decodeRequest("getEvents", { params: {}, query: { limit: "501" }, body: undefined }).ok,
  ).toBe(false);
  expect(
    decodeRequest("getEvents", { params: {}, query: { limit: "500" }, body: undefined }),
  ).toMatchObject({
    value: { query: { limit: 500 } },
  });
});

test("what a route needs can't be left out", () => {
  const cp = calling("http://127.0.0.1:1");
  // @ts-expect-error the reason is missing
  const withoutReason = () => cp.call("clearRollout", { params: { rolloutId }, body: {} });
  // @ts-expect-error the rollout is missing
  const withoutRollout = () => cp.call("getRollout", {});
  // @ts-expect-error a text is no rollout id
  const withText = () => cp.call("getRollout", { params: { rolloutId: "stable@1" } });
  expect([withoutReason, withoutRollout, withText]).toHaveLength(3);
});
