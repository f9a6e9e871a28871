import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Server as PlainServer } from "node:http";
import { createServer, type Server } from "node:https";
import type { TLSSocket } from "node:tls";
import { instant } from "@nixwave/effects";
import {
  type Authority,
  certificatePem,
  hostName,
  type Issuer,
  issueAuthority,
  issueForAgent,
  issueForServer,
  keyIssuer,
  principalOf,
  publicHalf,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ShownIdentity } from "../ports.ts";
import { type ClosableConnection, tlsConnection } from "./tlsHttp.ts";

// Real sockets and real certificates; OpenSSL reads the machine's clock and no other.
const NOW = instant(Math.floor(Date.now() / 1000) * 1000);
const DAY_MS = 24 * 3600 * 1000;

const pem = (key: KeyObject): string => String(key.export({ format: "pem", type: "pkcs8" }));
const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const ask = (now = NOW) => ({ serial: randomBytes(SERIAL_BYTES), now });

async function newAuthority(): Promise<Issuer> {
  const { privateKey } = generateKeyPairSync("ed25519");
  return keyIssuer(await issueAuthority({ ...ask(), privateKey }), privateKey);
}
async function agent(ca: Issuer, name: string): Promise<ShownIdentity> {
  const key = newKey();
  const form = { ...ask(), key: publicHalf(key), name: hostName.parse(name) };
  return { key: pem(key), certificate: certificatePem(await issueForAgent(ca, form)) };
}
async function server(ca: Issuer, now = NOW): Promise<ShownIdentity> {
  const key = newKey();
  const names = { dnsNames: ["cp-1"], ipAddresses: ["127.0.0.1"] };
  const form = { ...ask(now), ...names, key: publicHalf(key) };
  return { key: pem(key), certificate: certificatePem(await issueForServer(ca, form)) };
}

const ca = await newAuthority();
const web1 = await agent(ca, "web-1");
const web2 = await agent(ca, "web-2");

let listening: Server[] = [];
let connection: ClosableConnection;
/** Lets the parked answers go. */
let release: () => void;
let parked: Promise<void>;

beforeEach(() => {
  ({ promise: parked, resolve: release } = Promise.withResolvers<void>());
  connection = tlsConnection("cp-1");
});
afterEach(async () => {
  release();
  await connection.close();
  for (const each of listening) {
    each.closeAllConnections();
    each.close();
  }
  listening = [];
});

function nameOf(socket: TLSSocket, authority: Authority): string {
  const peer = socket.getPeerX509Certificate();
  if (peer === undefined) return "nobody";
  const who = principalOf(peer.raw, [authority], NOW);
  return who.ok ? `${who.value.principal.name} by ${socket.getProtocol()}` : who.error.code;
}

/** Answers with the name of who asks; /parked later. */
async function listen(
  own: ShownIdentity,
  options: { readonly maxVersion?: "TLSv1.2" } = {},
): Promise<string> {
  const listener: Server & PlainServer = createServer(
    {
      key: own.key,
      cert: own.certificate,
      ca: certificatePem(ca.authority),
      requestCert: true,
      rejectUnauthorized: false,
      ...options,
    },
    (request, response) => {
      const socket: TLSSocket | undefined = sockets.get(request.socket);
      const name = socket === undefined ? "no TLS" : nameOf(socket, ca.authority);
      const answered = request.url === "/parked" ? parked : Promise.resolve();
      void answered.then(() => response.end(name));
    },
  );
  const sockets = new Map<unknown, TLSSocket>();
  listener.on("secureConnection", (socket: TLSSocket) => sockets.set(socket, socket));
  listening.push(listener);
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  return typeof address === "object" && address !== null ? `https://127.0.0.1:${address.port}` : "";
}

const asked = (url: string, timeoutMs = 5000, signal?: AbortSignal) => ({
  method: "GET" as const,
  url,
  headers: {},
  body: null,
  timeoutMs,
  answerBytesMax: 1000,
  ...(signal === undefined ? {} : { signal }),
});
const said = async (answer: Promise<{ readonly body: Uint8Array }>): Promise<string> =>
  new TextDecoder().decode((await answer).body);

test("TLS 1.3 with this host's certificate, or with none where none is to be shown", async () => {
  const base = await listen(await server(ca));
  connection.pin(certificatePem(ca.authority));
  connection.show(web1);
  expect(await said(connection.http.request(asked(`${base}/`)))).toBe("web-1 by TLSv1.3");
  expect(await said(connection.anonymous.request(asked(`${base}/`)))).toBe("nobody");
});

test("a new certificate takes new connections, and what is under way is answered", async () => {
  const base = await listen(await server(ca));
  connection.pin(certificatePem(ca.authority));
  connection.show(web1);
  expect(await said(connection.http.request(asked(`${base}/`)))).toBe("web-1 by TLSv1.3");
  const parkedAnswer = said(connection.http.request(asked(`${base}/parked`)));
  connection.show(web2);
  expect(await said(connection.http.request(asked(`${base}/`)))).toBe("web-2 by TLSv1.3");
  release();
  expect(await parkedAnswer).toBe("web-1 by TLSv1.3");
});

test("while there is no certificate a request waits for one, as long as it may take", async () => {
  const base = await listen(await server(ca));
  connection.pin(certificatePem(ca.authority));
  const waits = said(connection.http.request(asked(`${base}/`)));
  const stopping = new AbortController();
  const stopped = connection.http.request(asked(`${base}/`, 5000, stopping.signal));
  const late = connection.http.request(asked(`${base}/`, 10));
  stopping.abort();
  await expect(stopped).rejects.toThrow("this host has no certificate yet");
  await expect(late).rejects.toThrow("this host has no certificate yet");
  connection.show(web1);
  expect(await waits).toBe("web-1 by TLSv1.3");
});

test("several pinned CAs are one pin: a CA is replaced without a restart", async () => {
  const next = await newAuthority();
  const base = await listen(await server(next));
  connection.pin(certificatePem(ca.authority));
  connection.show(web1);
  await expect(connection.http.request(asked(`${base}/`))).rejects.toThrow(/not one of the CA/);
  connection.pin(certificatePem(ca.authority) + certificatePem(next.authority));
  expect(await said(connection.http.request(asked(`${base}/`)))).toBe("web-1 by TLSv1.3");
});

describe("a server that is not the control plane is told from it, and why is said", () => {
  test.each([
    [
      "of another CA",
      async () => listen(await server(await newAuthority())),
      /its certificate is not one of the CA that this host pins/,
    ],
    [
      "that ended",
      async () => listen(await server(ca, instant(NOW - 100 * DAY_MS))),
      /its certificate has ended, or this host's clock is ahead/,
    ],
    [
      "that does not hold yet",
      async () => listen(await server(ca, instant(NOW + DAY_MS))),
      /its certificate does not hold yet, or this host's clock is behind/,
    ],
    ["of an agent", () => listen(web2), /its certificate is not a server's/],
    [
      "with TLS 1.2",
      async () => listen(await server(ca), { maxVersion: "TLSv1.2" }),
      /protocol version|EPROTO|ECONNRESET/,
    ],
  ])("%s", async (_, open, reason) => {
    const base = await open();
    connection.pin(certificatePem(ca.authority));
    connection.show(web1);
    await expect(connection.http.request(asked(`${base}/`))).rejects.toThrow(reason);
  });

  test("of another name; an address is a name too", async () => {
    const base = await listen(await server(ca));
    for (const [name, answer] of [
      ["cp-2", /its certificate is for another name/],
      ["127.0.0.1", null],
    ] as const) {
      const other = tlsConnection(name);
      other.pin(certificatePem(ca.authority));
      other.show(web1);
      const request = said(other.http.request(asked(`${base}/`)));
      if (answer === null) expect(await request).toBe("web-1 by TLSv1.3");
      else await expect(request).rejects.toThrow(answer);
      await other.close();
    }
  });
});
