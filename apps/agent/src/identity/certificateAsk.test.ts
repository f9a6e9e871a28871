import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import {
  type Certificate,
  certificatePem,
  hostName,
  issueAuthority,
  issueForAgent,
  issueForOperator,
  issueForServer,
  keyIssuer,
  publicHalf,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import { journal } from "@nixwave/testkit";
import { expect, test } from "vitest";
import type { Connection, HttpAnswer } from "../ports.ts";
import { askForCertificate } from "./certificateAsk.ts";
import { AT, HOST } from "./enroller.fixture.ts";

// A CP may answer anything: only a certificate of the pinned CA, for this host and the key that was asked for, is taken.

const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const ask = () => ({ serial: randomBytes(SERIAL_BYTES), now: AT });
const issuerOf = async () => {
  const privateKey = newKey();
  return keyIssuer(await issueAuthority({ ...ask(), privateKey }), privateKey);
};
const ca = await issuerOf();
const foreign = await issuerOf();
const key = newKey();
const own = { ...ask(), key: publicHalf(key), name: HOST };

async function answered(status: number, body: string) {
  const answer: HttpAnswer = { status, headers: {}, body: new TextEncoder().encode(body) };
  const http = { request: async () => answer };
  const connection: Connection = { http, anonymous: http, pin: () => {}, show: () => {} };
  return await askForCertificate(
    { kind: "renewal", proof: "renewal", key, csr: "AA==" },
    {
      url: "https://cp-1",
      host: HOST,
      authorities: [ca.authority],
      connection,
      journalId: () => journal("a"),
      signal: new AbortController().signal,
    },
  );
}
const withCertificate = (certificate: string) =>
  answered(200, JSON.stringify({ certificate, authority: "" }));
const issued = async (certificate: Promise<Certificate>) =>
  withCertificate(certificatePem(await certificate));

test("what was asked for is taken", async () => {
  expect((await issued(issueForAgent(ca, own))).kind).toBe("issued");
});

test.each([
  [
    "another host",
    () => issued(issueForAgent(ca, { ...own, name: hostName.parse("web-2") })),
    "host web-2, not of the host web-1",
  ],
  [
    "another key",
    () => issued(issueForAgent(ca, { ...own, key: publicHalf(newKey()) })),
    "another key than the one",
  ],
  ["another CA", () => issued(issueForAgent(foreign, own)), "issued by another CA"],
  ["an operator", () => issued(issueForOperator(ca, { ...own, role: "admin" })), "operator web-1"],
  [
    "a server",
    () => issued(issueForServer(ca, { ...own, dnsNames: [HOST], ipAddresses: [] })),
    "not one for clients only",
  ],
  [
    "no certificate",
    () => withCertificate("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"),
    "can't be used",
  ],
  ["no PEM", () => withCertificate("\u0000"), "can't be used"],
  ["no document", () => answered(200, "[]"), "does not speak this protocol"],
  ["no JSON", () => answered(200, "<html>"), "does not speak this protocol"],
  ["a proxy's error", () => answered(403, "<html>"), "answered 403 without a problem document"],
])("an answer with %s is none, and asked for again", async (_, answer, sentence) => {
  expect(await answer()).toMatchObject({
    kind: "unanswered",
    sentence: expect.stringContaining(sentence),
  });
});
