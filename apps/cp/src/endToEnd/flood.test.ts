import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { hostName } from "@nixwave/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Caller, Held } from "./tlsPlane.fixture.ts";
import { TlsProcess } from "./tlsProcess.fixture.ts";

// A real control plane, a flood over real sockets, and a host that is served all the while: over the connection that it has and over
// new ones. Addresses of 127/8 stand for machines.

let plane: TlsProcess;
let flooding: Held;
let quiet: Held;
const opened: Socket[] = [];

beforeAll(async () => {
  plane = await TlsProcess.open(["web-1", "web-2", "web-3"]);
  await plane.serve();
  [flooding, quiet] = [await plane.certified("web-1"), await plane.certified("web-2")];
}, 60_000);
afterAll(() => {
  for (const socket of opened) socket.destroy();
  plane.close();
});

const poll = (caller: Caller, wait = 0) => caller.client.call("getDispatch", { query: { wait } });
/** Only ends what hangs. */
const WAIT = { timeout: 45_000 };
const SERVED = { ok: true, value: null };

/** A host that is at the same address as the flood, and asks over an old and over a new connection. */
async function isServed(old: Caller): Promise<void> {
  expect(await poll(old)).toEqual(SERVED);
  const fresh = plane.agent(quiet);
  expect(await poll(fresh)).toEqual(SERVED);
  fresh.close();
}

/** What becomes of a connection: all bytes that came before it was closed, by whichever side. */
interface Watched {
  readonly socket: Socket;
  readonly ready: Promise<void>;
  readonly closed: Promise<string>;
  /** The first lines that came back, or what had come when it was closed. */
  readonly answered: Promise<readonly string[]>;
}
function watched(socket: Socket, ready: "connect" | "secureConnect"): Watched {
  opened.push(socket);
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
  });
  socket.on("error", () => undefined);
  const isReady = new Promise<void>((resolve) => {
    socket.once(ready, () => resolve());
    socket.once("close", () => resolve());
  });
  const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(text)));
  const answered = new Promise<readonly string[]>((resolve) => {
    socket.on("data", () => text.includes("\r\n\r\n") && resolve(text.split("\r\n")));
    void closed.then(() => resolve(text.split("\r\n")));
  });
  return { socket, ready: isReady, closed, answered };
}

const tcp = (localAddress = "127.0.0.1"): Watched =>
  watched(connectTcp({ port: plane.port, host: "127.0.0.1", localAddress }), "connect");

function tls(held: Held | null, more: ConnectionOptions = {}): Watched {
  const key = held?.privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const own = held === null ? {} : { cert: held.certificate, key };
  const ends = { port: plane.port, host: "127.0.0.1", ca: plane.ca };
  return watched(connectTls({ ...ends, ...own, ...more }), "secureConnect");
}

const many = async (count: number, make: () => Watched): Promise<readonly Watched[]> => {
  const made = Array.from({ length: count }, make);
  await Promise.all(made.map(({ ready }) => ready));
  return made;
};
const open = (all: readonly Watched[]): number =>
  all.filter(({ socket }) => !socket.destroyed).length;
const end = async (all: readonly Watched[]): Promise<void> => {
  for (const { socket } of all) socket.destroy();
  await Promise.all(all.map(({ closed }) => closed));
};

const GET = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: cp\r\nNixwave-Protocol: 1\r\nNixwave-Journal: ${"0".repeat(32)}\r\n\r\n`;

describe("whoever floods has their own to lose, and others are served meanwhile", () => {
  test("connections that never begin their handshake are ended, and let others through", async () => {
    const old = plane.agent(quiet);
    expect(await poll(old)).toEqual(SERVED);
    const silent = await many(1500, () => tcp());
    await isServed(old);
    // From many addresses at once: all places are taken, and those who take the most of them give way.
    const spread: Watched[] = [];
    for (let net = 0; net < 6; net += 1)
      spread.push(...(await many(900, () => tcp(`127.0.1.${net + 1}`))));
    await isServed(old);
    // Each ends by itself, since its time is limited; none of these is destroyed here.
    await Promise.all([...silent, ...spread].map(({ closed }) => closed));
    await isServed(old);
  }, 120_000);

  test("connections without a certificate that do nothing give way to those who come", async () => {
    const old = plane.agent(quiet);
    expect(await poll(old)).toEqual(SERVED);
    const idle = await many(200, () => tls(null));
    await expect.poll(() => open(idle), WAIT).toBeLessThanOrEqual(128);
    await isServed(old);
    const { request: body } = await plane.withSsh("web-3");
    expect(await plane.as(null).client.call("enroll", { body })).toMatchObject({ ok: true });
    await end(idle);
  }, 120_000);

  test("an operator's certificate has 64 connections, and the oldest goes", async () => {
    const old = plane.agent(quiet);
    const operator = await plane.operator("ann");
    const all = await many(70, () => tls(operator));
    await expect.poll(() => open(all), WAIT).toBe(64);
    expect(all.slice(0, 6).every(({ socket }) => socket.destroyed)).toBe(true);
    await isServed(old);
    await end(all);
  });

  test("polls of one host: one is parked, the others are let go; another host is woken as ever", async () => {
    const old = plane.agent(quiet);
    const callers = Array.from({ length: 16 }, () => plane.agent(flooding));
    const polls = callers.map((caller) => poll(caller, 120));
    let answered = 0;
    for (const each of polls) void each.then(() => (answered += 1));
    await expect.poll(() => answered, WAIT).toBe(15);
    await isServed(old);
    for (const caller of callers) caller.close();
    await Promise.all(polls);
  });

  test("requests that do not wait for their answers end the connection", async () => {
    const old = plane.agent(quiet);
    const all = await many(16, () => tls(flooding));
    for (const { socket } of all) socket.write(GET("/v1/agent/dispatch?wait=120").repeat(400));
    const seen = await Promise.all(all.map(({ closed }) => closed));
    expect(seen.every((text) => text.split("HTTP/1.1").length <= 2)).toBe(true);
    await isServed(old);
  });

  test("requests without end: a host's, also for what is no route, are told to wait", async () => {
    const old = plane.agent(quiet);
    const caller = plane.agent(flooding);
    expect(await untilRefused(() => caller.status("GET", "/nothing"))).toEqual({ before: [404] });
    const polls = async () => statusOf(await poll(caller));
    expect(await untilRefused(polls)).not.toHaveProperty("never");
    await isServed(old);
  });

  test("a stranger's are counted by where he is, and nobody else's", async () => {
    const old = plane.agent(quiet);
    const stranger = plane.as(null, "127.0.0.9", { authorization: "Bearer nwt_guess" });
    expect(await untilRefused(() => stranger.status("GET", "/v1/status"))).toEqual({
      before: [401],
    });
    const other = plane.as(null, "127.0.0.9");
    expect(await untilRefused(() => other.status("GET", "/readyz"))).not.toHaveProperty("never");
    // A host that has its certificate is not counted with its neighbours.
    expect(await poll(plane.agent(quiet, "127.0.0.9"))).toEqual(SERVED);
    expect(await plane.as(null, "127.0.0.1").status("GET", "/readyz")).toBe(200);
    await isServed(old);
  });

  test("many who ask for certificates are told to wait; a host elsewhere enrols", async () => {
    const stranger = plane.as(null, "127.0.0.10");
    const { request: body } = await plane.withSsh("web-3");
    const forged = { ...body, host: hostName.parse("web-2") };
    const attempt = async () => {
      const answer = await stranger.client.call("enroll", { body: forged });
      return statusOf(answer);
    };
    expect(await untilRefused(attempt)).toEqual({ before: [403] });
    expect(await plane.as(null).client.call("enroll", { body })).toMatchObject({ ok: true });
  });
});

describe("what takes too long or is too large is ended", () => {
  test("headers, one or many, are refused at 16 KiB", async () => {
    const old = plane.agent(quiet);
    const [one, lots] = await many(2, () => tls(flooding));
    one?.socket.write(`GET / HTTP/1.1\r\nHost: cp\r\nX: ${"x".repeat(20_000)}`);
    lots?.socket.write(`GET / HTTP/1.1\r\nHost: cp\r\n${"X: x\r\n".repeat(5000)}`);
    expect(await one?.closed).toMatch(/^HTTP\/1\.1 431 /);
    expect(await lots?.closed).toMatch(/^HTTP\/1\.1 431 /);
    await isServed(old);
  });

  test.each([
    ["a body without end", "flooding", "/v1/agent/events", "application/x-ndjson", "413"],
    ["a body of who may not send one", null, "/v1/agent/events", "application/x-ndjson", "401"],
    ["an enrolment without end", null, "/v1/enroll", "application/json", "413"],
    ["a body of no route", "flooding", "/nothing", "application/json", "413"],
  ])("%s", async (_, who, path, type, status) => {
    const old = plane.agent(quiet);
    const [sent] = await many(1, () => tls(who === null ? null : flooding));
    if (sent === undefined) throw new Error("one was made");
    const head = GET(path).replace("GET", "POST").trimEnd();
    sent.socket.write(`${head}\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    let chunks = 0;
    const more = (): void => {
      while (!sent.socket.destroyed && sent.socket.write(chunk)) chunks += 1;
    };
    sent.socket.on("drain", more);
    more();
    const text = await sent.closed;
    if (text !== "") expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    // Its limit, as much again, and what lies in buffers on the way.
    expect(chunks).toBeLessThan(400);
    await isServed(old);
  });

  test.each(["/v1/enroll", "/v1/agent/events", "/nothing"])(
    "a body to %s that says it is gzip and is not, whatever its length, ends nothing but itself",
    async (path) => {
      const old = plane.agent(quiet);
      const head = GET(path).replace("GET", "POST").trimEnd();
      for (const type of ["application/json", "application/x-ndjson", "text/plain", "x/y"])
        for (const length of [10, 20_000, 2_000_000]) {
          const [sent] = await many(1, () => tls(null));
          sent?.socket.write(
            `${head}\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`,
          );
          sent?.socket.write("x".repeat(Math.min(length, 50_000)));
          const [status] = (await sent?.answered) ?? [];
          expect(status).toMatch(/^HTTP\/1\.1 4\d\d /);
          sent?.socket.destroy();
        }
      await isServed(old);
    },
  );

  test("who sends slowly, or nothing, is cut off: headers, bodies, connections that ask nothing", async () => {
    const old = plane.agent(quiet);
    const line = GET("/v1/agent/dispatch?wait=0").slice(0, 30);
    const headers = await many(8, () => tls(flooding));
    for (const { socket } of headers) socket.write(line);
    const head = GET("/v1/enroll").replace("GET", "POST").trimEnd();
    const bodies = await many(32, () => tls(null));
    for (const { socket } of bodies)
      socket.write(`${head}\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{`);
    const silent = await many(32, () => tls(null));
    await isServed(old);
    // They do nothing more, and are not destroyed here.
    const ends = await Promise.all([...headers, ...bodies].map(({ closed }) => closed));
    for (const text of ends) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    await Promise.all(silent.map(({ closed }) => closed));
    await isServed(old);
  }, 120_000);
});

/** 0 where no answer came. */
const statusOf = (
  answer: Awaited<ReturnType<typeof poll>> | Awaited<ReturnType<Caller["client"]["call"]>>,
): number => (answer.ok ? 200 : "status" in answer.error ? answer.error.status : 0);

/** Asks until it is told to wait, within twice what any limit allows: what it was told before that. */
async function untilRefused(ask: () => Promise<number>) {
  const before = new Set<number>();
  for (let count = 0; count < 2500; count += 1) {
    const status = await ask();
    if (status === 429) return { before: [...before] };
    before.add(status);
  }
  return { before: [...before], never: "refused" };
}
