import { randomBytes } from "node:crypto";
import { addSecs, type HostName } from "@nixwave/effects";
import {
  type EnrolmentRequest,
  enrolWithPrevious,
  enrolWithSshKey,
  enrolWithToken,
  generateKey,
  hostName,
  type Issuer,
  issueAuthority,
  journalId,
  keyIssuer,
  makeJoinToken,
  publicHalf,
  readCertificatePem,
  SERIAL_BYTES,
  thumbprint,
} from "@nixwave/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { askFor, NAME, newKey, TestFleet } from "../identity/identity.fixture.ts";
import { markNoncesSince, nextSecond } from "../maintenance/noncesSince.ts";
import { type EnrolmentHandlers, enrolmentHandlers } from "./enrolmentHandlers.ts";
import { ProblemError } from "./problemError.ts";

const DAY_SECS = 86_400;
const JOURNAL = journalId.parse("0".repeat(32));
const tokenKey = newKey();
const sshKey = newKey();

let bench: Bench;
let fleet: TestFleet;
let issuer: Issuer;
let signing: { broken: Error | null; done: number };
let routes: EnrolmentHandlers;

beforeEach(async () => {
  bench = await openBench();
  fleet = new TestFleet();
  fleet.declare({ "web-1": null, "web-2": sshKey });
  fleet.trustTokensOf([{ name: "ops", key: publicHalf(tokenKey) }]);
  const privateKey = generateKey("p256");
  const serial = randomBytes(SERIAL_BYTES);
  const authority = await issueAuthority({ privateKey, serial, now: bench.time.now });
  const own = keyIssuer(authority, privateKey);
  signing = { broken: null, done: 0 };
  issuer = {
    authority,
    async sign(tbs) {
      if (signing.broken !== null) throw signing.broken;
      signing.done += 1;
      return await own.sign(tbs);
    },
  };
  routes = enrolmentHandlers({
    submit: (command) => bench.writer.submit(command),
    clock: { now: () => bench.time.now },
    random: { bytes: (count) => randomBytes(count) },
    log: { log: (_level, message, fields) => void bench.logged.push({ message, fields }) },
    issuer,
    name: NAME,
    fleetTrust: fleet,
  });
});
afterEach(() => bench.close());

interface TokenOptions {
  readonly host?: string;
  readonly madeSecsAgo?: number;
  readonly keyThumbprint?: string;
}

const tokenFor = ({ host = "web-1", madeSecsAgo = 0, keyThumbprint }: TokenOptions = {}) =>
  makeJoinToken({
    privateKey: tokenKey,
    host: hostName.parse(host),
    controlPlane: NAME,
    keyThumbprint: keyThumbprint ?? null,
    nonce: randomBytes(16),
    now: addSecs(bench.time.now, -madeSecsAgo),
    validSecs: 3600,
  });

const withToken = async (token: string, host = "web-1"): Promise<EnrolmentRequest> =>
  enrolWithToken((await askFor(host, bench.time.now)).asked, token);
const withSsh = async (host = "web-2", key = sshKey): Promise<EnrolmentRequest> =>
  enrolWithSshKey((await askFor(host, bench.time.now)).asked, key);

/** The certificate that a request gets, or the sentence with which it is refused. */
async function answer(body: EnrolmentRequest): Promise<string> {
  try {
    const request = { params: {}, query: {}, body };
    return (await routes.enroll(request, { principal: null, address: "192.0.2.7" })).certificate;
  } catch (cause) {
    if (cause instanceof ProblemError) return `${cause.problem.code} ${cause.problem.detail}`;
    throw cause;
  }
}
async function renewal(host: HostName, csr: string): Promise<string> {
  const principal = { kind: "host", name: host, role: null } as const;
  const caller = { principal, journalId: JOURNAL, gone: new AbortController().signal };
  try {
    const request = { params: {}, query: {}, body: { csr } };
    return (await routes.renewCertificate(request, caller)).certificate;
  } catch (cause) {
    if (cause instanceof ProblemError) return `${cause.problem.code} ${cause.problem.detail}`;
    throw cause;
  }
}

const GIVEN = /^-----BEGIN CERTIFICATE-----/;
const nameIn = (pem: string): string => {
  const read = readCertificatePem(pem);
  return read.ok ? (read.value.altNames[0]?.text ?? "no name") : read.error;
};
const logKinds = (): readonly string[] =>
  bench.db
    .prepare("SELECT lines FROM log_segments ORDER BY first_offset")
    .pluck()
    .all()
    .flatMap((lines) => String(lines).split("\n"))
    .filter((line) => line.includes('"Enrolled"'));

test("a token enrols the host that it names, once, and the log says so", async () => {
  const given = await answer(await withToken(await tokenFor()));
  expect(nameIn(given)).toBe("web-1");
  expect(logKinds()).toEqual([expect.stringContaining('"host":"web-1","by":"token"')]);
  expect(bench.logged.map(({ message }) => message)).toContain("certificate issued");
});

test("a replayed token is refused, also after a restart", async () => {
  const token = await tokenFor();
  expect(await answer(await withToken(token))).toMatch(GIVEN);
  expect(await answer(await withToken(token))).toMatch(/^enrolment-refused replayed-token: /);
  await bench.reopen();
  expect(await answer(await withToken(token))).toMatch(/^enrolment-refused replayed-token: /);
});

test.each([
  ["a token for another host", { host: "web-2" }, /token-for-another-host: .* is for web-2/],
  ["an expired token", { madeSecsAgo: 3601 }, /expired: /],
  ["a future-dated token", { madeSecsAgo: -3600 }, /future-dated: /],
  ["a token for another key", { keyThumbprint: "A".repeat(43) }, /key-mismatch: /],
])("%s is refused (hazard 81: what is dated ahead too)", async (_, options, refusal) => {
  // Made by a fleet whose control plane was there before it.
  bench.time.pass(2 * 3600);
  expect(await answer(await withToken(await tokenFor(options)))).toMatch(refusal);
  expect(signing.done).toBe(0);
});

test("a token for this key enrols it and no other", async () => {
  const { asked, privateKey } = await askFor("web-1", bench.time.now);
  const token = await tokenFor({ keyThumbprint: thumbprint(publicHalf(privateKey)) });
  expect(await answer(await withToken(token))).toMatch(/key-mismatch: /);
  expect(await answer(enrolWithToken(asked, token))).toMatch(GIVEN);
});

test("of two that use one token at the same instant exactly one wins (hazard 67)", async () => {
  const token = await tokenFor();
  const asked = [await withToken(token), await withToken(token), await withToken(token)];
  const answers = await Promise.all(asked.map(answer));
  expect(answers.filter((each) => GIVEN.test(each))).toHaveLength(1);
  expect(answers.filter((each) => each.includes("replayed-token: "))).toHaveLength(2);
  expect(logKinds()).toHaveLength(1);
});

test("of two that are signed with the host key at the same instant exactly one wins", async () => {
  const answers = await Promise.all([await withSsh(), await withSsh()].map(answer));
  expect(answers.filter((each) => GIVEN.test(each))).toHaveLength(1);
  expect(answers.filter((each) => each.includes("replayed-request: "))).toHaveLength(1);
  expect(logKinds()).toHaveLength(1);
});

test("the answer is lost and asked again: the same certificate, at once, and after a restart", async () => {
  const asked = [await withToken(await tokenFor()), await withSsh()];
  for (const body of asked) {
    const twins = await Promise.all([answer(body), answer(body)]);
    expect(twins[0]).toMatch(GIVEN);
    expect(twins[1]).toBe(twins[0]);
    await bench.reopen();
    expect(await answer(body)).toBe(twins[0]);
  }
  expect(logKinds()).toHaveLength(2);
});

test("killed between the nonce's commit and the certificate's: the same request goes on, another does not", async () => {
  const token = await tokenFor();
  const body = await withToken(token);
  signing.broken = new Error("the token was pulled out");
  expect(await answer(body)).toMatch(/^not-ready The CA can't sign/);
  await bench.reopen();
  signing.broken = null;
  expect(await answer(await withToken(token))).toMatch(/replayed-token: /);
  expect(await answer(body)).toMatch(GIVEN);
});

test("a disk that is full when the certificate is to be remembered gives none to anybody", async () => {
  const body = await withSsh();
  bench.broken = new Error("disk full");
  expect(await answer(body)).toMatch(/^not-stored /);
  bench.broken = null;
  bench.time.pass(60);
  const given = await answer(body);
  expect(given).toMatch(GIVEN);
  expect(await answer(body)).toBe(given);
});

test("the database is lost or restored: no token from before it, every host key still (hazard 68)", async () => {
  const [used, unused] = [await tokenFor(), await tokenFor()];
  const before = await withToken(used);
  expect(await answer(before)).toMatch(GIVEN);
  // As restore and --recover leave it: what was used is forgotten, and it is known since when.
  bench.time.pass(5);
  bench.db.exec("DELETE FROM nonces; DELETE FROM certificates");
  markNoncesSince(bench.db, nextSecond(bench.time.now));
  await bench.reopen();
  for (const body of [before, await withToken(used), await withToken(unused)])
    expect(await answer(body)).toMatch(/token-not-known-unused: .*nixwave join-token/);
  bench.time.pass(1);
  expect(await answer(await withToken(await tokenFor()))).toMatch(GIVEN);
  expect(await answer(await withSsh())).toMatch(GIVEN);
});

test("a host that the database has forgotten renews over its present certificate", async () => {
  const { asked } = await askFor("web-2", bench.time.now);
  const csr = Buffer.from(asked.csr).toString("base64");
  expect(nameIn(await renewal(hostName.parse("web-2"), csr))).toBe("web-2");
});

test("renewal: the same request gets the same certificate, a request for another name none", async () => {
  const { asked } = await askFor("web-2", bench.time.now);
  const csr = Buffer.from(asked.csr).toString("base64");
  const given = await renewal(hostName.parse("web-2"), csr);
  expect(await renewal(hostName.parse("web-2"), csr)).toBe(given);
  expect(await renewal(hostName.parse("web-1"), csr)).toMatch(/wrong-name: /);
  expect(logKinds()).toEqual([expect.stringContaining('"by":"renewal"')]);
});

test("a certificate that expired months ago enrols by its key, and by nobody else's", async () => {
  const { asked, privateKey } = await askFor("web-2", bench.time.now);
  expect(await answer(enrolWithSshKey(asked, sshKey))).toMatch(GIVEN);
  bench.time.pass(200 * DAY_SECS);
  await bench.reopen();
  const later = await askFor("web-2", bench.time.now);
  expect(await answer(enrolWithPrevious(later.asked, newKey()))).toMatch(/key-mismatch: /);
  expect(await answer(enrolWithPrevious(later.asked, privateKey))).toMatch(GIVEN);
  const never = await askFor("web-1", bench.time.now);
  expect(await answer(enrolWithPrevious(never.asked, newKey()))).toMatch(/never-enrolled: /);
});

test("a wrong host key, another control plane, clocks that differ, an unknown and a revoked host", async () => {
  const { asked } = await askFor("web-2", bench.time.now);
  expect(await answer(await withSsh("web-2", newKey()))).toMatch(/key-mismatch|bad-signature/);
  const other = { ...asked, controlPlane: "cp.example.com" };
  expect(await answer(enrolWithSshKey(other, sshKey))).toMatch(/wrong-cp: .*127\.0\.0\.1/);
  const early = { ...asked, now: addSecs(asked.now, 601) };
  expect(await answer(enrolWithSshKey(early, sshKey))).toMatch(/future-dated: /);
  const late = { ...asked, now: addSecs(asked.now, -601) };
  expect(await answer(enrolWithSshKey(late, sshKey))).toMatch(/expired: /);
  expect(await answer(await withSsh("web-9"))).toMatch(/unknown-host: .*nixwave host add/);
  fleet.revoke({ "web-2": null });
  expect(await answer(await withSsh())).toMatch(/revoked: /);
  fleet.revoke({});
  expect(await answer(await withSsh())).toMatch(GIVEN);
  expect(bench.logged.filter(({ message }) => message === "enrolment refused")).toHaveLength(2);
});

test("a host that is revoked while its certificate is being signed is not given it", async () => {
  const body = await withSsh();
  const signed = (tbs: Uint8Array) => issuer.sign(tbs);
  const race = enrolmentHandlers({
    submit: (command) => bench.writer.submit(command),
    clock: { now: () => bench.time.now },
    random: { bytes: (count) => randomBytes(count) },
    log: { log: () => undefined },
    issuer: {
      ...issuer,
      sign(tbs) {
        fleet.revoke({ "web-2": null });
        return signed(tbs);
      },
    },
    name: NAME,
    fleetTrust: fleet,
  });
  const request = { params: {}, query: {}, body };
  await expect(race.enroll(request, { principal: null, address: "" })).rejects.toThrow(
    /^revoked: /,
  );
  expect(logKinds()).toEqual([]);
});

test("whoever floods is told to wait: by address, and a host by its name", async () => {
  const body = await withSsh("web-9");
  const answers = [];
  for (let count = 0; count < 80; count += 1) answers.push(await answer(body));
  expect(answers.filter((each) => each.startsWith("too-many"))).toHaveLength(16);
  bench.time.pass(1);
  expect(await answer(body)).toMatch(/unknown-host/);
  const renewals = [];
  for (let count = 0; count < 12; count += 1)
    renewals.push(await renewal(hostName.parse("web-2"), ""));
  expect(renewals.filter((each) => each.startsWith("too-many"))).toHaveLength(2);
});
