import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTcpServer, type Server as TcpServer } from "node:net";
import { closure } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fastTimer, SOON, type TestHost, testHost } from "../activation/host.fixture.ts";
import { type ClosableHttp, systemHttp } from "../perform/http.ts";
import type { Timer } from "../ports.ts";
import { execCheck } from "./execCheck.ts";
import { httpCheck } from "./httpCheck.ts";
import { stableCheck } from "./stableCheck.ts";
import { tcpCheck } from "./tcpCheck.ts";

const never = new AbortController().signal;
const PASS = { status: "pass", failureReason: null, subResults: null };

let host: TestHost;
let http: ClosableHttp;
let servers: (Server | TcpServer)[];
vi.setConfig({ testTimeout: 30_000 });
beforeEach(() => {
  host = testHost();
  http = systemHttp();
  servers = [];
});
afterEach(async () => {
  await http.close();
  for (const server of servers) {
    if ("closeAllConnections" in server) server.closeAllConnections();
    server.close();
  }
  host.remove();
});

async function listen(server: Server | TcpServer): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
const serve = async (answer: RequestListener) =>
  `http://127.0.0.1:${await listen(createServer(answer))}/health`;
/** A port that nobody listens on: it was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createTcpServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const HTTP = { status: 200, bodyContains: null, timeoutSecs: 2 };

test("http passes on its status and on what the body contains", async () => {
  const url = await serve((_, response) => response.writeHead(200).end("all is well"));
  expect(await httpCheck({ ...HTTP, url }, http)(never)).toEqual(PASS);
  expect(await httpCheck({ ...HTTP, url, bodyContains: "is well" }, http)(never)).toEqual(PASS);
  expect(await httpCheck({ ...HTTP, url, bodyContains: "is ill" }, http)(never)).toMatchObject({
    status: "fail",
    failureReason: `${url} answered 200, but its body lacks "is ill"`,
  });
});

test("http fails on another status, and passes on the one that is asked for", async () => {
  const url = await serve((_, response) => response.writeHead(503).end());
  expect(await httpCheck({ ...HTTP, url }, http)(never)).toMatchObject({
    failureReason: `${url} answered 503; expected 200`,
  });
  expect(await httpCheck({ ...HTTP, url, status: 503 }, http)(never)).toEqual(PASS);
});

test("http makes a connection of its own for each run", async () => {
  const ports = new Set<number | undefined>();
  const url = await serve((request, response) => {
    ports.add(request.socket.remotePort);
    response.end();
  });
  for (let runs = 0; runs < 3; runs += 1) await httpCheck({ ...HTTP, url }, http)(never);
  expect(ports.size).toBe(3);
});

test("http follows no redirect: a login page is not health", async () => {
  const url = await serve((_, response) => response.writeHead(302, { location: "/login" }).end());
  expect(await httpCheck({ ...HTTP, url }, http)(never)).toMatchObject({
    failureReason: `${url} answered 302; expected 200`,
  });
});

test("http fails when no answer comes in time, or the body never ends", async () => {
  const silent = await serve(() => {});
  const endless = await serve((_, response) => {
    response.writeHead(200);
    response.write("begun");
  });
  for (const url of [silent, endless]) {
    const outcome = await httpCheck({ ...HTTP, url, timeoutSecs: 0.1 }, http)(never);
    expect(outcome.status).toBe("fail");
    expect(outcome.failureReason).toContain(`${url} gave no answer within 0.1 s`);
  }
});

test("http fails when the connection is refused", async () => {
  const url = `http://127.0.0.1:${await freePort()}/`;
  const outcome = await httpCheck({ ...HTTP, url }, http)(never);
  expect(outcome).toMatchObject({ status: "fail" });
  expect(outcome.failureReason).toContain("ECONNREFUSED");
});

test("http ends when its runner is stopped", async () => {
  const stop = new AbortController();
  const url = await serve(() => stop.abort());
  const outcome = await httpCheck({ ...HTTP, url, timeoutSecs: 60 }, http)(stop.signal);
  expect(outcome.status).toBe("fail");
});

test("tcp passes when a connection is made, and fails when it is refused", async () => {
  const port = await listen(createTcpServer());
  const check = { host: "127.0.0.1", timeoutSecs: 2 };
  expect(await tcpCheck({ ...check, port }, fastTimer)(never)).toEqual(PASS);
  const closed = await freePort();
  const outcome = await tcpCheck({ ...check, port: closed }, fastTimer)(never);
  expect(outcome.failureReason).toMatch(`127.0.0.1 port ${closed} took no connection: `);
});

test("tcp fails when no connection is made in time", async () => {
  const port = await listen(createTcpServer());
  const atOnce: Timer = { after: (_, fire) => (queueMicrotask(fire), () => {}) };
  const check = { host: "127.0.0.1", port, timeoutSecs: 3 };
  expect((await tcpCheck(check, atOnce)(never)).failureReason).toBe(
    `127.0.0.1 port ${port} took no connection within 3 s`,
  );
});

const exec = (
  script: string,
  over: { timeoutSecs?: number; results?: "json"; exitCode?: number } = {},
) =>
  execCheck(
    {
      argv: ["sh", "-c", script],
      exitCode: over.exitCode ?? 0,
      results: over.results ?? null,
      mode: "enforce",
      timeoutSecs: over.timeoutSecs ?? 5,
    },
    { process: host.ports.process, env: { PATH: host.config.path, NIXWAVE_ROOT: host.root } },
  )(never);

test("exec passes on its exit code and says its last words when it fails", async () => {
  expect(await exec("exit 0")).toEqual(PASS);
  expect(await exec("exit 3", { exitCode: 3 })).toEqual(PASS);
  expect(await exec("echo first; echo disk is full >&2; exit 1")).toMatchObject({
    status: "fail",
    failureReason: expect.stringMatching(/exited with 1; expected 0: disk is full$/),
  });
});

test("exec that can't be started says so", async () => {
  const check = {
    argv: ["/no/such/program"],
    exitCode: 0,
    results: null,
    mode: "enforce",
    timeoutSecs: 5,
  } as const;
  const outcome = await execCheck(check, { process: host.ports.process, env: {} })(never);
  expect(outcome.failureReason).toMatch(/\/no\/such\/program could not be started/);
});

test("exec is killed at its timeout, grandchildren too (hazard 60)", async () => {
  const outcome = await exec("sh -c 'sleep 1006; :' & trap '' TERM; sleep 1007; :", {
    timeoutSecs: 0.2,
  });
  expect(outcome.failureReason).toContain("did not end within 0.2 s and was killed");
  await vi.waitFor(() => expect(host.processes()).toEqual([]), SOON);
});

test("exec that prints without end is cut, not kept", async () => {
  const outcome = await exec("seq 1 300000 >&2; exit 1");
  expect(outcome.failureReason?.length).toBeLessThan(2100);
  expect(outcome.failureReason).toContain("300000");
});

test("exec with results gives sub-results, whatever its exit code", async () => {
  const list = JSON.stringify([
    { controlId: "cis-1.1", status: "pass", framework: "CIS", article: "1.1" },
    {
      controlId: "cis-1.2",
      status: "fail",
      framework: "CIS",
      effectiveMode: "observe",
      overrideReason: "legacy",
    },
  ]);
  const expected = [
    {
      controlId: "cis-1.1",
      status: "pass",
      framework: "CIS",
      article: "1.1",
      effectiveMode: "enforce",
      overrideReason: null,
    },
    {
      controlId: "cis-1.2",
      status: "fail",
      framework: "CIS",
      article: null,
      effectiveMode: "observe",
      overrideReason: "legacy",
    },
  ];
  expect(await exec(`echo '${list}'`, { results: "json" })).toEqual({
    ...PASS,
    subResults: expected,
  });
  expect(await exec(`echo '${list}'; exit 1`, { results: "json" })).toMatchObject({
    status: "fail",
    subResults: expected,
  });
});

test.each(["no json", "{}", "[1]", '[{"controlId":"a"}]', ""])(
  "exec with results %j is a fail, not an empty list",
  async (text) => {
    const outcome = await exec(`printf '%s' '${text}'`, { results: "json" });
    expect(outcome).toMatchObject({ status: "fail", subResults: null });
    expect(outcome.failureReason).toMatch(/printed (no JSON list of|bad) sub-results/);
  },
);

test("system-stable: the same boot, and the target runs", async () => {
  const target = host.makeClosure("new");
  host.setLinks(target, "current-system");
  host.writeFile("boot-id", "first");
  const check = stableCheck({ target, bootId: await host.activation.bootId() }, host.activation);
  expect(await check(never)).toEqual(PASS);
  const other = host.makeClosure("other");
  host.setLinks(other, "current-system");
  expect((await check(never)).failureReason).toBe(`${other} runs instead of ${closure("new")}`);
  host.setLinks(target, "current-system");
  host.writeFile("boot-id", "second");
  expect((await check(never)).failureReason).toMatch(/has rebooted/);
  host.writeFile("boot-id", "not a boot id");
  expect((await check(never)).status).toBe("fail");
});
