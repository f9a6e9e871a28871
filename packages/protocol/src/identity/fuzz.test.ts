import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { channel } from "../ids.ts";
import {
  certificatePem,
  readAuthorityPem,
  readCertificate,
  readCertificatePem,
} from "./certificate.ts";
import { makeCertificateRequest, readCertificateRequest } from "./csr.ts";
import { judgeEnrolment } from "./enrolment.ts";
import { enrolmentRequestSchema, enrolWithSshKey } from "./enrolmentRequest.ts";
import {
  given,
  NOW,
  newAuthority,
  newKey,
  serial,
  sshPrivateKeyText,
  web1,
} from "./identity.fixture.ts";
import { issueForAgent } from "./issue.ts";
import { checkJoinToken, makeJoinToken } from "./joinToken.ts";
import { checkOperatorToken, makeOperatorToken } from "./operatorToken.ts";
import { principalOf } from "./principal.ts";
import { publicHalf, sameKey } from "./publicKey.ts";
import { isSignedBy, signWith } from "./signature.ts";
import { formatSshPublicKey, parseSshPrivateKey, parseSshPublicKey } from "./sshKey.ts";
import {
  armouredSshSignature,
  makeSshSignature,
  parseArmouredSshSignature,
  parseSshSignature,
} from "./sshSignature.ts";

/** Whatever comes in, a Result comes out: a parser that throws, hangs or reads without end fails here. */
interface Answer {
  readonly ok: boolean;
}

const RUNS = 400;
/** For all runs together, on a busy machine; each of them is a matter of microseconds. */
const MS_MAX = 20_000;

/** Bytes near to good ones: altered, cut, repeated, lengthened. Far ones are refused at the first byte. */
const near = (good: Uint8Array) =>
  fc.oneof(
    fc
      .array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 4,
      })
      .map((changes) => {
        const bytes = Uint8Array.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      }),
    fc.nat({ max: good.length }).map((length) => good.subarray(0, length)),
    fc
      .tuple(fc.nat({ max: good.length }), fc.uint8Array({ maxLength: 64 }))
      .map(
        ([at, more]) => new Uint8Array([...good.subarray(0, at), ...more, ...good.subarray(at)]),
      ),
    fc
      .tuple(fc.nat({ max: good.length }), fc.nat({ max: good.length }))
      .map(
        ([a, b]) =>
          new Uint8Array([...good.subarray(0, Math.max(a, b)), ...good.subarray(Math.min(a, b))]),
      ),
    fc.uint8Array({ maxLength: 512 }),
    // Lengths that nest: a sequence of sequences, to the end.
    fc.nat({ max: 6000 }).map((count) => new Uint8Array(2 * count).fill(0x30)),
    fc.constantFrom(new Uint8Array(1 << 20), new Uint8Array(1 << 20).fill(0x30)),
  );
const nearText = (good: string) =>
  near(Buffer.from(good, "latin1")).map((bytes) => Buffer.from(bytes).toString("latin1"));

const ca = await newAuthority("p256");
const privateKey = newKey();
const key = publicHalf(privateKey);
const certificate = await issueForAgent(ca.issuer, { name: web1, key, serial: serial(), now: NOW });
const csr = await makeCertificateRequest({ name: web1, privateKey });
const p256Csr = await makeCertificateRequest({ name: web1, privateKey: newKey("p256") });
const message = Buffer.from("a statement");
const sshSignature = makeSshSignature({ privateKey, namespace: "x", message });
const token = await makeJoinToken({
  privateKey,
  host: web1,
  controlPlane: "cp",
  keyThumbprint: null,
  nonce: new Uint8Array(16),
  now: NOW,
  validSecs: 60,
});
const operator = makeOperatorToken({
  bytes: new Uint8Array(32),
  name: "ann",
  role: "admin",
  now: NOW,
});
const request = enrolmentRequestSchema.encode(
  enrolWithSshKey({ controlPlane: "cp", host: web1, now: NOW, csr }, privateKey),
);

const facts = {
  controlPlane: "cp",
  declared: { channel: channel.parse("stable"), sshHostKey: formatSshPublicKey(key) },
  enrolmentKeys: [key],
  revocation: null,
  lastIssued: null,
  nonces: new Map(),
  noncesSince: null,
};

function enrol(text: string): Answer {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { ok: false };
  }
  const read = enrolmentRequestSchema.safeParse(body);
  return read.success ? judgeEnrolment(read.data, facts, NOW) : { ok: false };
}

const BYTE_PARSERS: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => Answer])[] = [
  ["a certificate request", csr, readCertificateRequest],
  ["a certificate request of P-256", p256Csr, readCertificateRequest],
  ["a peer's certificate", certificate.der, (der) => principalOf(der, [ca.authority], NOW)],
  ["a CA's certificate", ca.authority.der, readCertificate],
  ["an SSH signature", sshSignature, parseSshSignature],
];
const TEXT_PARSERS: readonly (readonly [string, string, (text: string) => Answer])[] = [
  ["a certificate in PEM", certificatePem(certificate), readCertificatePem],
  ["a CA in PEM", certificatePem(ca.authority), readAuthorityPem],
  ["an armoured SSH signature", armouredSshSignature(sshSignature), parseArmouredSshSignature],
  ["an SSH public key", formatSshPublicKey(key), parseSshPublicKey],
  ["an SSH private key", sshPrivateKeyText(privateKey), parseSshPrivateKey],
  [
    "a join token",
    token,
    (text) => checkJoinToken(text, { keys: [key], controlPlane: "cp", now: NOW }),
  ],
  [
    "an operator's token",
    operator.token,
    (text) => checkOperatorToken(text, () => operator.record, NOW),
  ],
  ["an enrolment request", JSON.stringify(request), enrol],
];

describe("only a typed refusal comes out", () => {
  test.each(BYTE_PARSERS)(
    "%s",
    (_, good, parse) => {
      expect(parse(good).ok).toBe(true);
      fc.assert(
        fc.property(near(good), (bytes) => typeof parse(bytes).ok === "boolean"),
        { numRuns: RUNS },
      );
    },
    MS_MAX,
  );
  test.each(TEXT_PARSERS)(
    "%s",
    (_, good, parse) => {
      expect(parse(good).ok).toBe(true);
      fc.assert(
        fc.property(nearText(good), (text) => typeof parse(text).ok === "boolean"),
        { numRuns: RUNS },
      );
    },
    MS_MAX,
  );
});

describe("what is signed is accepted as it is, or not at all", () => {
  const changed = (good: Uint8Array) =>
    near(good).filter((bytes) => Buffer.compare(bytes, good) !== 0);
  test(
    "never an altered certificate",
    () => {
      fc.assert(
        fc.property(changed(certificate.der), (der) => !principalOf(der, [ca.authority], NOW).ok),
        { numRuns: RUNS },
      );
    },
    MS_MAX,
  );
  test(
    "never an altered request",
    () => {
      fc.assert(
        fc.property(changed(csr), (der) => !readCertificateRequest(der).ok),
        { numRuns: RUNS },
      );
    },
    MS_MAX,
  );
  test(
    "never an altered token",
    () => {
      const altered = nearText(token).filter((text) => text !== token);
      fc.assert(
        fc.property(
          altered,
          (text) => !checkJoinToken(text, { keys: [key], controlPlane: "cp", now: NOW }).ok,
        ),
        { numRuns: RUNS },
      );
    },
    MS_MAX,
  );
  test(
    "never an altered signature of either kind",
    () => {
      const p256 = newKey("p256");
      const signature = signWith(p256, message);
      fc.assert(
        fc.property(
          changed(signature),
          (bytes) => !isSignedBy({ key: publicHalf(p256), signature: bytes, message }),
        ),
        { numRuns: RUNS },
      );
      const ours = given(parseSshSignature(sshSignature)).signature;
      fc.assert(
        fc.property(changed(ours), (bytes) => !isSignedBy({ key, signature: bytes, message })),
        { numRuns: RUNS },
      );
    },
    MS_MAX,
  );
});

test("keys come back from their texts as they were", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("ed25519" as const, "p256" as const),
      fc.string({ maxLength: 40 }),
      (kind, comment) => {
        const own = publicHalf(newKey(kind));
        const line = `${formatSshPublicKey(own)} ${comment.replaceAll(/[\r\n]/g, "")}`;
        return sameKey(given(parseSshPublicKey(line)), own);
      },
    ),
    { numRuns: 50 },
  );
  expect(sameKey(publicHalf(given(parseSshPrivateKey(sshPrivateKeyText(privateKey)))), key)).toBe(
    true,
  );
});
