import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Instant, instant } from "@nixwave/effects";
import {
  certificatePem,
  type EnrolmentRequest,
  enrolWithPrevious,
  hostName,
  issueForAgent,
  makeCertificateRequest,
  makeJoinToken,
  publicHalf,
  readCertificatePem,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askFor, NAME, newKey } from "../identity/identity.fixture.ts";
import { databasePath, openDatabase } from "../store/database.ts";
import { runCp } from "./process.fixture.ts";
import { type Caller, type Held } from "./tlsPlane.fixture.ts";
import { TlsProcess } from "./tlsProcess.fixture.ts";

// Enrolment of a real control plane in a process of its own: killed while it enrols, its database lost, its answer lost.

const DAY_MS = 86_400_000;
const web1 = hostName.parse("web-1");

let plane: TlsProcess;
beforeEach(async () => {
  plane = await TlsProcess.open(["web-2"], ["web-1", "web-3"]);
}, 60_000);
afterEach(() => plane.close());

const token = (host = web1): Promise<string> =>
  makeJoinToken({
    privateKey: plane.tokenKey,
    host,
    controlPlane: NAME,
    keyThumbprint: null,
    nonce: randomBytes(16),
    now: instant(Date.now()),
    validSecs: 3600,
  });

/** The certificate's serial, or why there is none. */
async function enrol(request: EnrolmentRequest, caller: Caller = plane.as(null)): Promise<string> {
  const answer = await caller.client.call("enroll", { body: request });
  if (!answer.ok) return `${answer.error.code} ${answer.error.detail}`;
  const read = readCertificatePem(answer.value.certificate);
  if (!read.ok) throw new Error(read.error);
  return read.value.serial;
}
const SERIAL = /^[0-9a-f]{32}$/i;

const inDatabase = <T>(act: (db: ReturnType<typeof openDatabase>) => T): T => {
  const db = openDatabase(databasePath(plane.folder.data));
  try {
    return act(db);
  } finally {
    db.close();
  }
};
const serials = (): readonly unknown[] =>
  inDatabase((db) => db.prepare("SELECT serial FROM certificates ORDER BY place").pluck().all());

/** After the control plane was killed: the same request is given one certificate, another with the same token none. */
async function onceAfter(request: EnrolmentRequest, used: string): Promise<void> {
  const given = await enrol(request);
  expect(given).toMatch(SERIAL);
  expect(await enrol(request)).toBe(given);
  expect(await enrol((await plane.withToken("web-1", used)).request)).toMatch(/replayed-token/);
  expect(serials()).toEqual([given]);
}

/** Tokens count whole seconds, so one of the very second in which a database began is as unknown as those from before it. */
async function secondIsOver(at: number): Promise<void> {
  const next = (Math.floor(at / 1000) + 1) * 1000;
  while (Date.now() < next) await new Promise((resolve) => setImmediate(resolve));
}

describe("kill -9 while it enrols", () => {
  test("between the reservation and the certificate: the same request goes on, another does not", async () => {
    await plane.serve();
    const caFiles = [join(plane.folder.root, "ca.pem"), join(plane.folder.root, "sign.sh")];
    const [cert = "", sign = ""] = caFiles;
    writeFileSync(cert, plane.ca);
    // What signs ends the control plane in its stead: then the nonce is reserved, and nothing is signed.
    writeFileSync(sign, "#!/bin/sh\nkill -9 $PPID\n", { mode: 0o755 });
    await plane.served.signal("SIGTERM");
    const { ended } = await plane.serve(["--ca-cert", cert, "--ca-sign-cmd", sign]);
    const used = await token();
    const { request } = await plane.withToken("web-1", used);
    expect(await enrol(request)).toMatch(/^unreachable /);
    expect(await ended).toBe("SIGKILL");
    expect(serials()).toEqual([]);
    expect(inDatabase((db) => db.prepare("SELECT is_answered FROM nonces").pluck().all())).toEqual([
      0,
    ]);
    await plane.serve();
    // Whoever has only the token is too late, before the certificate as after it.
    const thief = (await plane.withToken("web-1", used)).request;
    expect(await enrol(thief)).toMatch(/replayed-token/);
    await onceAfter(request, used);
  }, 120_000);

  test.each(["inside-commit", "before-answer"])(
    "%s, at each commit from the start until it is done",
    async (point) => {
      await plane.serve();
      const used = await token();
      const { request } = await plane.withToken("web-1", used);
      await plane.served.signal("SIGTERM");
      let killed = 0;
      for (let nth = 1; nth < 20; nth += 1) {
        const isUp = await plane
          .serve([], { NIXWAVE_CRASH_AT: `${point}:${nth}` })
          .then(() => true)
          .catch(() => false);
        const answer = isUp ? await enrol(request) : "unreachable";
        if (SERIAL.test(answer)) break;
        expect(answer).toMatch(/^unreachable/);
        expect(await plane.served.ended).toBe("SIGKILL");
        if (isUp) killed += 1;
      }
      // At the reservation and at the certificate, at the least.
      expect(killed).toBeGreaterThanOrEqual(2);
      await plane.served.signal("SIGKILL");
      await plane.serve();
      await onceAfter(request, used);
    },
    180_000,
  );
});

test("one token, twenty requests at the same instant over as many connections: exactly one is given a certificate", async () => {
  await plane.serve();
  const used = await token();
  const requests = await Promise.all(
    Array.from({ length: 20 }, async (_, at) =>
      plane.withToken(at % 5 === 4 ? "web-3" : "web-1", used),
    ),
  );
  const answers = await Promise.all(requests.map(({ request }) => enrol(request)));
  const given = answers.filter((each) => SERIAL.test(each));
  expect(given).toHaveLength(1);
  expect(answers.filter((each) => each.startsWith("enrolment-refused"))).toHaveLength(19);
  expect(serials()).toEqual(given);
});

test("the answer is lost: the same request is given the same certificate, by this process and the next", async () => {
  await plane.serve();
  const used = await token();
  const { request } = await plane.withToken("web-1", used);
  const first = plane.as(null);
  const lost = enrol(request, first);
  const said = () => plane.served.log.find((line) => line.includes('"certificate issued"'));
  // It is committed, and its answer meets a connection that is closed as soon as the log says so; or it is dropped here.
  const isOver = await Promise.race([lost.then(() => true), logged(said)]);
  if (isOver) expect(await lost).toMatch(SERIAL);
  first.close();
  await lost.catch(() => undefined);
  const again = await enrol(request);
  expect(said()).toContain(again);
  await plane.served.signal("SIGKILL");
  await plane.serve();
  expect(await enrol(request)).toBe(again);
  expect(serials()).toEqual([again]);
}, 60_000);

async function logged(said: () => string | undefined): Promise<false> {
  await expect.poll(said, { timeout: 45_000 }).toBeDefined();
  return false;
}

describe("the database", () => {
  const loseDatabase = async (): Promise<void> => {
    await plane.served.signal("SIGKILL");
    for (const name of readdirSync(plane.folder.data).filter((one) => one.startsWith("cp.db")))
      rmSync(join(plane.folder.data, name));
    expect(existsSync(databasePath(plane.folder.data))).toBe(false);
  };

  test.each(["restored from a backup", "lost, and begun anew with --recover"])(
    "%s: tokens from before it are refused, used or not; host keys and certificates hold",
    async (how) => {
      await plane.serve();
      const backup = join(plane.folder.root, "backup.db");
      expect(await runCp("backup", backup, "--data", plane.folder.data)).toMatchObject({ code: 0 });
      const [used, unused] = [await token(), await token()];
      const { request, privateKey } = await plane.withToken("web-1", used);
      const answer = await plane.as(null).client.call("enroll", { body: request });
      if (!answer.ok) throw new Error(answer.error.detail);
      const held: Held = { privateKey, certificate: answer.value.certificate };
      await loseDatabase();
      const isRestored = how.startsWith("restored");
      if (isRestored) {
        const restored = await runCp("restore", backup, "--data", plane.folder.data);
        expect(restored).toMatchObject({ code: 0 });
      }
      await plane.serve(isRestored ? [] : ["--recover"]);
      const isReadyAt = Date.now();
      expect(await enrol(request)).toMatch(/token-not-known-unused/);
      for (const old of [used, unused])
        expect(await enrol((await plane.withToken("web-1", old)).request)).toMatch(
          /token-not-known-unused: .*nixwave join-token/,
        );
      expect(await enrol((await plane.withSsh("web-2")).request)).toMatch(SERIAL);
      const csr = await makeCertificateRequest({ name: web1, privateKey: newKey() });
      const renewed = await plane
        .agent(held)
        .client.call("renewCertificate", { body: { csr: Buffer.from(csr).toString("base64") } });
      expect(renewed).toMatchObject({ ok: true });
      await secondIsOver(isReadyAt);
      const anew = await token();
      expect(await enrol((await plane.withToken("web-1", anew)).request)).toMatch(SERIAL);
    },
    120_000,
  );
});

test("a certificate that expired months ago: TLS refuses it, its key enrols again, no other does", async () => {
  await plane.serve();
  const privateKey = newKey();
  const { asked } = await askFor("web-1", instant(Date.now()));
  const madeAt = instant(Date.now() - 200 * DAY_MS);
  await plane.served.signal("SIGTERM");
  const old = await remember(privateKey, madeAt);
  await plane.serve();
  const caller = plane.agent({ privateKey, certificate: certificatePem(old) });
  expect(await caller.client.call("getDispatch", { query: { wait: 0 } })).toMatchObject({
    error: { code: "unauthenticated", detail: expect.stringMatching(/^expired: /) },
  });
  expect(await enrol(enrolWithPrevious(asked, newKey()))).toMatch(/key-mismatch/);
  const given = await enrol(enrolWithPrevious(asked, privateKey));
  expect(given).toMatch(SERIAL);
  expect(serials()).toEqual([old.serial, given]);
}, 60_000);

/** What this control plane would have made and remembered then: time itself can't be moved for a process. */
async function remember(privateKey: Held["privateKey"], madeAt: Instant) {
  const made = await issueForAgent(plane.issuer(), {
    name: web1,
    key: publicHalf(privateKey),
    serial: randomBytes(SERIAL_BYTES),
    now: madeAt,
  });
  inDatabase((db) =>
    db
      .prepare(
        "INSERT INTO certificates (host, serial, der, request_digest, requested_at, issued_at, not_after) VALUES (?, ?, ?, ?, NULL, ?, ?)",
      )
      .run(web1, made.serial, made.der, "0".repeat(64), madeAt, made.notAfter),
  );
  return made;
}
