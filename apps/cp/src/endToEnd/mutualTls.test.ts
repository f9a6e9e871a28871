import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { addSecs } from "@nixwave/effects";
import {
  certificatePem,
  hostName,
  type Issuer,
  issueAuthority,
  issueForAgent,
  issueForServer,
  keyIssuer,
  parseKeyText,
  publicHalf,
  ROUTE_NAMES,
  ROUTES,
  type Role,
  readAuthorityPem,
  rolloutIdText,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newKey } from "../identity/identity.fixture.ts";
import {
  grantCertificate,
  grantToken,
  takeCertificate,
  takeToken,
} from "../maintenance/operators.ts";
import { databasePath, openDatabase } from "../store/database.ts";
import {
  type Caller,
  type Held,
  openTlsPlane,
  REAL_NOW,
  TLS,
  type TlsPlane,
} from "./tlsPlane.fixture.ts";

const DAY_SECS = 86_400;
let plane: TlsPlane;
beforeEach(async () => {
  plane = await openTlsPlane();
});
afterEach(() => plane.close());

const random = { bytes: (count: number) => randomBytes(count) };

/** The plane's own CA, as whoever stole its key would use it. */
async function ownIssuer(): Promise<Issuer> {
  const key = await parseKeyText(
    readFileSync(join(plane.test.folder.data, "tls", "ca.key"), "utf8"),
    null,
  );
  const authority = readAuthorityPem(plane.ca);
  if (!key.ok || !authority.ok) throw new Error("the CA is in the data directory");
  return keyIssuer(authority.value, key.value);
}

const serial = () => randomBytes(SERIAL_BYTES);
const web1 = hostName.parse("web-1");

async function agentOf(issuer: Issuer, now = REAL_NOW, name = web1): Promise<Held> {
  const privateKey = newKey();
  const asked = { name, key: publicHalf(privateKey), serial: serial(), now };
  return { privateKey, certificate: certificatePem(await issueForAgent(issuer, asked)) };
}

const poll = (caller: Caller, wait = 0) => caller.client.call("getDispatch", { query: { wait } });
const granted = { ok: true, value: null };
const refusedAs = (code: string, detail: string | RegExp) => ({
  error: { code, detail: expect.stringMatching(detail) },
});

function withOperatorDb<T>(act: (db: ReturnType<typeof openDatabase>) => T): T {
  const db = openDatabase(databasePath(plane.test.folder.data));
  try {
    return act(db);
  } finally {
    db.close();
  }
}

/** As `nixwave-cp token add` does it, beside the control plane that serves. */
const token = (role: Role, days = 90) =>
  withOperatorDb((db) =>
    grantToken(db, { name: "ann", role, days, by: "root", random, now: plane.test.time.now }),
  );
const bearer = (given: string): Caller => plane.as(null, { authorization: `Bearer ${given}` });

async function operator(role: Role): Promise<Held & { readonly serial: string }> {
  const privateKey = newKey();
  const db = openDatabase(databasePath(plane.test.folder.data));
  const asked = { name: "ann", role, days: 90, by: "root", random, now: plane.test.time.now };
  const key = publicHalf(privateKey);
  const issued = await grantCertificate(db, { ...asked, key, issuer: await ownIssuer() });
  db.close();
  return { privateKey, certificate: certificatePem(issued), serial: issued.serial };
}

test("the CA's key and the server's are of mode 0600, and TLS 1.2 is refused", async () => {
  const tls = join(plane.test.folder.data, "tls");
  expect(["ca.key", "server.pem"].map((name) => statSync(join(tls, name)).mode & 0o777)).toEqual([
    0o600, 0o600,
  ]);
  const port = Number(new URL(plane.test.plane.url).port);
  const socket = connect({ port, host: "127.0.0.1", ca: plane.ca, maxVersion: "TLSv1.2" });
  const code = await new Promise((resolve) => {
    socket.once("error", (error: Error & { readonly code?: string }) => resolve(error.code));
    socket.once("secureConnect", () => resolve("connected"));
  });
  expect(code).toBe("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
});

describe("a certificate that is not right is refused, and the log says why", () => {
  const foreign = async (): Promise<Issuer> => {
    const privateKey = newKey();
    return keyIssuer(
      await issueAuthority({ privateKey, serial: serial(), now: REAL_NOW }),
      privateKey,
    );
  };
  const nameless = async (issuer: Issuer): Promise<Held> => {
    const privateKey = newKey();
    const asked = { key: publicHalf(privateKey), serial: serial(), now: REAL_NOW };
    const dnsNames = ["web-1"];
    const issued = await issueForServer(issuer, { ...asked, dnsNames, ipAddresses: [] });
    return { privateKey, certificate: certificatePem(issued) };
  };
  test.each([
    ["wrong-issuer", async () => agentOf(await foreign())],
    ["expired", async () => agentOf(await ownIssuer(), addSecs(REAL_NOW, -31 * DAY_SECS))],
    ["not-yet-valid", async () => agentOf(await ownIssuer(), addSecs(REAL_NOW, DAY_SECS))],
    ["wrong-usage", async () => nameless(await ownIssuer())],
  ])("%s", async (code, make) => {
    const caller = plane.agent(await make());
    for (let again = 0; again < 3; again += 1)
      expect(await poll(caller)).toMatchObject(
        refusedAs("unauthenticated", new RegExp(`^${code}: `)),
      );
    const said = plane.test.logged.filter(
      ({ message }) => message === "client certificate refused",
    );
    expect(said.map(({ fields }) => fields["code"])).toEqual([code]);
  });
});

describe("a stolen agent certificate", () => {
  const body = (host: string): string =>
    JSON.stringify({
      host,
      rolloutId: rolloutIdText.parse(`stable@${"a".repeat(40)}`),
      seq: 1,
      prev: null,
      event: { kind: "Unknown" },
    });

  test("can't speak for another host (hazard 92)", async () => {
    const agent = plane.agent(await plane.enrol("web-1"));
    const forged = await agent.client.call("postEvents", { body: `${body("web-2")}\n` });
    expect(forged).toMatchObject({ error: { code: "wrong-host", status: 403 } });
    plane.test.time.pass(1);
    const named = plane.as(await plane.enrol("web-1"), {
      "nixwave-journal": "0".repeat(32),
      "nixwave-host": "web-2",
    });
    expect(await poll(named)).toMatchObject(
      refusedAs("forbidden", /nixwave-host is refused over TLS/),
    );
  });

  test("can't read or use any operator route (hazard 88)", async () => {
    const held = await plane.enrol("web-1");
    const routes = ROUTE_NAMES.filter((name) => ROUTES[name].audience === "operator");
    expect(routes.length).toBeGreaterThan(10);
    for (const name of routes) {
      const { method, path } = ROUTES[name];
      const url = path.replace(/:\w+/g, "x");
      const seen = await plane.as(held).status(method, url);
      expect([name, seen]).toEqual([name, 403]);
    }
  });

  test("can't enrol another host, and its holder can't post a token beside it", async () => {
    const sshKey = newKey();
    const held = await plane.enrol("web-1");
    await plane.enrol("web-2", sshKey);
    plane.test.time.pass(1);
    const { request } = await plane.ask("web-2", held.privateKey);
    const stolen = await plane.agent(held).client.call("enroll", { body: request });
    expect(stolen).toMatchObject(refusedAs("enrolment-refused", /key/));
    const both = plane.as(held, { authorization: `Bearer ${token("viewer").token}` });
    expect(await both.client.call("getStatus", {})).toMatchObject(
      refusedAs("unauthenticated", /both a client certificate and a token/),
    );
  });

  test("floods: its own connections are cut, its own requests wait, another host's do not", async () => {
    const [flooding, other] = [await plane.enrol("web-1"), await plane.enrol("web-2")];
    const callers = Array.from({ length: 17 }, () => plane.agent(flooding));
    for (const caller of callers) expect(await poll(caller)).toEqual(granted);
    const [oldest] = callers[0]?.sockets() ?? [];
    if (oldest !== undefined && !oldest.destroyed)
      await new Promise((resolve) => oldest.once("close", resolve));
    expect(callers.slice(1).flatMap((caller) => caller.sockets())).toHaveLength(16);
    const [busy] = callers.slice(-1);
    if (busy === undefined) throw new Error("there are callers");
    const flood = await Promise.all(Array.from({ length: 1000 }, () => poll(busy)));
    expect(
      flood.filter((each) => !each.ok && each.error.code === "too-many").length,
    ).toBeGreaterThan(0);
    expect(await poll(plane.agent(other))).toEqual(granted);
  });
});

describe("revocation by the signed list", () => {
  test("nobody is let in by a certificate while the list is not known", async () => {
    const held = await plane.enrol("web-1");
    const agent = plane.agent(held);
    plane.fleet.forget();
    expect(await poll(agent)).toMatchObject(refusedAs("not-ready", /fleet\/revocations\.json/));
    plane.fleet.declare({});
    expect(await poll(agent)).toEqual(granted);
  });

  test("is in force at once: the parked poll ends, and so does the connection; taken back it is over (hazard 90)", async () => {
    const held = await plane.enrol("web-1");
    const agent = plane.agent(held);
    expect(await poll(agent)).toEqual(granted);
    const parked = poll(agent, 120);
    const others = plane.agent(await plane.enrol("web-2"));
    const staying = poll(others, 120);
    await plane.parked(2);
    plane.fleet.revoke({ "web-1": null });
    const revoked = () =>
      withOperatorDb((db) => db.prepare("SELECT host FROM revocations").pluck().all());
    await expect.poll(revoked).toEqual(["web-1"]);
    expect(await parked).toMatchObject({ error: { code: "unreachable" } });
    expect(await poll(agent)).toMatchObject(refusedAs("unauthenticated", /^revoked: web-1/));
    plane.fleet.revoke({});
    await expect.poll(revoked).toEqual([]);
    expect(await poll(agent)).toEqual(granted);
    plane.fleet.revoke({ "web-1": addSecs(REAL_NOW, -DAY_SECS) });
    expect(await poll(agent)).toEqual(granted);
    expect(await Promise.race([staying, Promise.resolve("still parked")])).toBe("still parked");
  });

  test("of what was issued before an instant: the re-imaged machine is served, the old one is not", async () => {
    const old = await plane.enrol("web-1");
    plane.fleet.revoke({ "web-1": plane.test.time.now });
    expect(await poll(plane.agent(old))).toMatchObject(refusedAs("unauthenticated", /^revoked/));
    plane.test.time.pass(2);
    const anew = plane.agent(await plane.enrol("web-1"));
    expect(await poll(anew)).toEqual(granted);
    // However many connections the old one opens, they take none of the new one's places.
    const [kept] = anew.sockets();
    for (let count = 0; count < 20; count += 1)
      expect(await poll(plane.agent(old))).toMatchObject(refusedAs("unauthenticated", /^revoked/));
    expect(await poll(anew)).toEqual(granted);
    expect(kept).toBeDefined();
    expect(anew.sockets()).toEqual([kept]);
  });
});

describe("operators", () => {
  test("a token reads at once and, taken back, is refused with the next request on the same connection", async () => {
    const { token: given, id } = token("viewer");
    const caller = bearer(given);
    expect((await caller.client.call("getStatus", {})).ok).toBe(true);
    const frozen = { scope: { kind: "all" }, until: null, reason: "no" } as const;
    expect(await caller.client.call("postFreeze", { body: frozen })).toMatchObject(
      refusedAs("forbidden", /needs the role operator/),
    );
    expect((await caller.status("GET", "/metrics")).toString()).toBe("200");
    withOperatorDb((db) => takeToken(db, id, plane.test.time.now));
    expect(await caller.client.call("getStatus", {})).toMatchObject(
      refusedAs("unauthenticated", /^unknown-token: /),
    );
    await expect
      .poll(() =>
        withOperatorDb((db) =>
          db.prepare("SELECT last_used_at FROM operator_tokens").pluck().get(),
        ),
      )
      .toBe(REAL_NOW);
  });

  test("a stream that is open ends when its token, or its certificate, is taken back", async () => {
    const { token: given, id } = token("viewer");
    const admin = await operator("admin");
    const ends = [bearer(given), plane.as(admin)].map((caller) => caller.stream());
    for (const stream of ends) await stream.began;
    plane.test.time.pass(2);
    expect(await Promise.race([...ends.map(({ ended }) => ended), Promise.resolve("open")])).toBe(
      "open",
    );
    withOperatorDb((db) => takeToken(db, id, plane.test.time.now));
    withOperatorDb((db) => takeCertificate(db, admin.serial, plane.test.time.now));
    plane.test.time.pass(2);
    expect(await Promise.all(ends.map(({ ended }) => ended))).toEqual(["ended", "ended"]);
  });

  test("an expired token, a text that is none, and a route for agents", async () => {
    const { token: given } = token("operator", 1);
    expect(
      await poll(
        plane.as(null, { authorization: `Bearer ${given}`, "nixwave-journal": "0".repeat(32) }),
      ),
    ).toMatchObject(refusedAs("forbidden", /for agents/));
    plane.test.time.pass(DAY_SECS);
    expect(await bearer(given).client.call("getStatus", {})).toMatchObject(
      refusedAs("unauthenticated", /^expired: /),
    );
    for (const text of ["nwt_x", "", "x".repeat(300), "Basic YTpi"])
      expect(await bearer(text).client.call("getStatus", {})).toMatchObject(
        refusedAs("unauthenticated", /^malformed: /),
      );
  });

  test("admin actions take a certificate, or --allow-token-admin", async () => {
    const resume = { body: { reason: "now" } };
    const byToken = await bearer(token("admin").token).client.call("endReplay", resume);
    expect(byToken).toMatchObject(refusedAs("forbidden", /nixwave-cp operator-certificate/));
    const admin = await operator("admin");
    const caller = plane.as(admin);
    expect(await caller.client.call("endReplay", resume)).toMatchObject({
      error: { code: "conflict" },
    });
    withOperatorDb((db) => takeCertificate(db, admin.serial, plane.test.time.now));
    expect(await caller.client.call("endReplay", resume)).toMatchObject(
      refusedAs("unauthenticated", /^revoked: /),
    );
    const viewer = plane.as(await operator("viewer"));
    expect(await viewer.client.call("endReplay", resume)).toMatchObject(
      refusedAs("forbidden", /needs the role admin/),
    );
    await plane.close();
    plane = await openTlsPlane({ tls: { ...TLS, allowTokenAdmin: true } });
    expect(await bearer(token("admin").token).client.call("endReplay", resume)).toMatchObject({
      error: { code: "conflict" },
    });
  });
});

test("the server's certificate is renewed at half of its life, without a restart, and open connections go on", async () => {
  await plane.close();
  plane = await openTlsPlane({ now: addSecs(REAL_NOW, -46 * DAY_SECS) });
  const open = bearer(token("viewer").token);
  expect((await open.client.call("getStatus", {})).ok).toBe(true);
  const [socket] = open.sockets();
  const before = socket?.getPeerX509Certificate()?.serialNumber;
  expect(before).toMatch(/^[0-9A-F]{32}$/);
  plane.test.time.pass(46 * DAY_SECS);
  await expect
    .poll(() => plane.test.logged.map(({ message }) => message))
    .toContain("server certificate renewed");
  expect((await open.client.call("getStatus", {})).ok).toBe(true);
  expect(open.sockets()).toEqual([socket]);
  const fresh = bearer(token("viewer").token);
  expect((await fresh.client.call("getStatus", {})).ok).toBe(true);
  const after = fresh.sockets()[0]?.getPeerX509Certificate()?.serialNumber;
  expect(after).toMatch(/^[0-9A-F]{32}$/);
  expect(after).not.toBe(before);
  const metrics = await fresh.text("/metrics");
  const ends = /nixwave_certificate_expires_timestamp_seconds\{certificate="server"\} (\d+)/.exec(
    metrics,
  )?.[1];
  expect(Number(ends)).toBe(REAL_NOW / 1000 + 90 * DAY_SECS);
});
