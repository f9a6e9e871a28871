import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ClosableHttp, systemHttp } from "./http.ts";

let server: Server;
let http: ClosableHttp;
let base: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === "/silent") return;
    if (request.url === "/long") return void response.end("x".repeat(10_000));
    response.writeHead(503, { "Retry-After": "7" }).end("not now");
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  base = typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
  http = systemHttp();
});
afterAll(async () => {
  await http.close();
  server.closeAllConnections();
  server.close();
});

const get = (
  path: string,
  over: { timeoutMs?: number; answerBytesMax?: number; signal?: AbortSignal } = {},
) =>
  http.request({
    method: "GET",
    url: `${base}${path}`,
    headers: {},
    body: null,
    timeoutMs: 5000,
    answerBytesMax: 1000,
    ...over,
  });

test("any status is an answer, with its headers in lower case", async () => {
  const { status, headers, body } = await get("/");
  expect(status).toBe(503);
  expect(headers["retry-after"]).toBe("7");
  expect(new TextDecoder().decode(body)).toBe("not now");
});

test("an answer that is too long, too late, or not wanted any more is none", async () => {
  await expect(get("/long")).rejects.toThrow("more than 1000 bytes");
  await expect(get("/silent", { timeoutMs: 50 })).rejects.toThrow();
  const aborted = new AbortController();
  const waiting = get("/silent", { signal: aborted.signal });
  aborted.abort();
  await expect(waiting).rejects.toThrow();
  await expect(
    http.request({
      method: "GET",
      url: "http://127.0.0.1:9/",
      headers: {},
      body: null,
      timeoutMs: 1000,
      answerBytesMax: 10,
    }),
  ).rejects.toThrow(/ECONNREFUSED/);
});
