import type { KeyObject } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo } from "node:net";
import { connect, createServer, type Server, type TLSSocket } from "node:tls";
import { instant } from "@nixwave/effects";
import { afterEach, describe, expect, test } from "vitest";
import { hostName } from "../ids.ts";
import { type Certificate, certificatePem } from "./certificate.ts";
import {
  codeOf,
  DAY,
  KINDS,
  newAuthority,
  newKey,
  serial,
  type TestAuthority,
  web1,
} from "./identity.fixture.ts";
import { issueForAgent, issueForOperator, issueForServer } from "./issue.ts";
import { principalOf } from "./principal.ts";
import { publicHalf } from "./publicKey.ts";

// OpenSSL reads the machine's clock and no other.
const REAL_NOW = instant(Math.floor(Date.now() / 1000) * 1000);
const LONG_NAME = hostName.parse(
  `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`,
);

interface Held {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}
type Kind = (typeof KINDS)[number];

const open: Server[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) {
    server.close();
    await once(server, "close");
  }
});

async function holds(
  kind: Kind,
  issue: (key: ReturnType<typeof publicHalf>) => Promise<Certificate>,
): Promise<Held> {
  const privateKey = newKey(kind);
  return { privateKey, certificate: await issue(publicHalf(privateKey)) };
}

const agent = (ca: TestAuthority, kind: Kind, name = web1, now = REAL_NOW) =>
  holds(kind, (key) => issueForAgent(ca.issuer, { key, name, serial: serial(), now }));

/** A CP's listener: TLS asks for a certificate and lets anybody in, and principalOf says who it is. */
async function listen(
  ca: TestAuthority,
  kind: Kind,
): Promise<{ port: number; seen: Promise<string> }> {
  const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const own = await holds(kind, (key) =>
    issueForServer(ca.issuer, { key, ...names, serial: serial(), now: REAL_NOW }),
  );
  const server = createServer({
    ...tlsOf(own),
    ca: certificatePem(ca.authority),
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: "TLSv1.3",
  });
  open.push(server);
  const seen = new Promise<string>((resolve) => {
    server.once("secureConnection", (socket: TLSSocket) => {
      const peer = socket.getPeerX509Certificate();
      const who = peer === undefined ? null : principalOf(peer.raw, [ca.authority], REAL_NOW);
      const said =
        who === null
          ? "nobody"
          : who.ok
            ? `${who.value.principal.kind} ${who.value.principal.name}`
            : codeOf(who);
      resolve(`${said}, ${socket.authorized ? "" : "not "}authorized by Node`);
      socket.end(said);
    });
    server.once("tlsClientError", (error) => resolve(`refused: ${error.message}`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: portOf(server), seen };
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

const tlsOf = ({ certificate, privateKey }: Held) => ({
  cert: certificatePem(certificate),
  key: privateKey.export({ format: "pem", type: "pkcs8" }),
});

/** What the server says to a client that pins this CA: the answer, or the error. */
async function speaks(port: number, pinned: TestAuthority, held: Held | null): Promise<string> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: "localhost",
    ca: certificatePem(pinned.authority),
    ...(held === null ? {} : tlsOf(held)),
  });
  try {
    let text = "";
    for await (const chunk of socket.setEncoding("utf8")) text += String(chunk);
    return `${socket.getProtocol() ?? "TLS 1.3"}: ${text}`;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  } finally {
    socket.destroy();
  }
}

describe.each(KINDS)("mutual TLS 1.3 with keys of %s", (kind) => {
  test("an agent and an operator are known by name, over a loopback socket", async () => {
    const ca = await newAuthority(kind, REAL_NOW);
    const operator = await holds(kind, (key) =>
      issueForOperator(ca.issuer, {
        key,
        name: "ann",
        role: "admin",
        serial: serial(),
        now: REAL_NOW,
      }),
    );
    for (const [held, name] of [
      [await agent(ca, kind), "host web-1"],
      [await agent(ca, kind, LONG_NAME), `host ${LONG_NAME}`],
      [operator, "operator ann"],
    ] as const) {
      const { port, seen } = await listen(ca, kind);
      expect(await speaks(port, ca, held)).toContain(name);
      expect(await seen).toBe(`${name}, authorized by Node`);
    }
  });

  test("a key of the other kind, from a CA of this kind", async () => {
    const ca = await newAuthority(kind, REAL_NOW);
    const { port, seen } = await listen(ca, kind);
    const other = await agent(ca, kind === "p256" ? "ed25519" : "p256");
    expect(await speaks(port, ca, other)).toContain("host web-1");
    expect(await seen).toBe("host web-1, authorized by Node");
  });

  test("wrong certificates are refused by name", async () => {
    const ca = await newAuthority(kind, REAL_NOW);
    const foreign = await newAuthority(kind, REAL_NOW);
    const past = instant(REAL_NOW - 31 * DAY);
    const later = instant(REAL_NOW + DAY);
    const server = await holds(kind, (key) =>
      issueForServer(ca.issuer, {
        key,
        dnsNames: ["web-1"],
        ipAddresses: [],
        serial: serial(),
        now: REAL_NOW,
      }),
    );
    const table: readonly (readonly [Held | null, string])[] = [
      [await agent(foreign, kind), "wrong-issuer"],
      [await agent(ca, kind, web1, past), "expired"],
      [await agent(ca, kind, web1, later), "not-yet-valid"],
      [server, "wrong-usage"],
      [null, "nobody"],
    ];
    for (const [held, code] of table) {
      const { port, seen } = await listen(ca, kind);
      await speaks(port, ca, held);
      expect(await seen).toBe(`${code}, not authorized by Node`);
    }
  });

  test("a certificate without its key opens nothing", async () => {
    const ca = await newAuthority(kind, REAL_NOW);
    const stolen = { certificate: (await agent(ca, kind)).certificate, privateKey: newKey(kind) };
    const { port } = await listen(ca, kind);
    // OpenSSL refuses the pair before it sends anything; a peer that sent it would fail the handshake.
    await expect(speaks(port, ca, stolen)).rejects.toThrow(/key values mismatch/);
  });

  test("an agent that pins its CA speaks to no server of another", async () => {
    const [ca, pinned] = [await newAuthority(kind, REAL_NOW), await newAuthority(kind, REAL_NOW)];
    const { port } = await listen(ca, kind);
    expect(await speaks(port, pinned, await agent(pinned, kind))).toMatch(
      /UNABLE_TO|SELF_SIGNED|SIGNATURE/,
    );
  });

  test("an agent's certificate makes no server", async () => {
    const ca = await newAuthority(kind, REAL_NOW);
    const held = await agent(ca, kind, hostName.parse("localhost"));
    const server = createServer({ ...tlsOf(held), minVersion: "TLSv1.3" });
    open.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    expect(await speaks(portOf(server), ca, null)).toBe("INVALID_PURPOSE");
  });
});
