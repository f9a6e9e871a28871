import { generateKeyPairSync } from "node:crypto";
import type { Sha256 } from "@nixwave/effects";
import { describe, expect, test } from "vitest";
import { channel, hostName } from "../ids.ts";
import { toBase64 } from "./base64.ts";
import type { Certificate } from "./certificate.ts";
import { makeCertificateRequest } from "./csr.ts";
import { type EnrolmentVerdict, judgeEnrolment, judgeRenewal } from "./enrolment.ts";
import { type EnrolmentFacts, isRevoked } from "./enrolmentFacts.ts";
import {
  type EnrolmentRequest,
  enrolmentBytes,
  enrolmentDigest,
  enrolmentRequestSchema,
  enrolWithPrevious,
  enrolWithSshKey,
  enrolWithToken,
} from "./enrolmentRequest.ts";
import {
  at,
  codeOf,
  DAY,
  given,
  MINUTE,
  NOW,
  newAuthority,
  newKey,
  serial,
  web1,
  web2,
} from "./identity.fixture.ts";
import { issueForAgent } from "./issue.ts";
import { makeJoinToken } from "./joinToken.ts";
import { principalOf } from "./principal.ts";
import { publicHalf, thumbprint } from "./publicKey.ts";
import { signWith } from "./signature.ts";
import { formatSshPublicKey } from "./sshKey.ts";
import { armouredSshSignature, makeSshSignature } from "./sshSignature.ts";

const CP = "cp-1";
const ca = await newAuthority();
const sshKey = newKey();
const tokenKey = newKey();
const tlsKey = newKey("p256");
const csr = await makeCertificateRequest({ name: web1, privateKey: tlsKey });
const lastKey = newKey();
const lastCertificate = await issueForAgent(ca.issuer, {
  name: web1,
  key: publicHalf(lastKey),
  serial: serial(),
  now: at(-200 * DAY),
});
const OTHER_DIGEST = enrolmentDigest(
  enrolWithToken({ controlPlane: CP, host: web1, now: NOW, csr }, "x"),
);

const stable = channel.parse("stable");
const byToken = { channel: stable, sshHostKey: null };
const bySsh = {
  channel: stable,
  sshHostKey: `${formatSshPublicKey(publicHalf(sshKey))} root@web-1`,
};
const last = { certificate: lastCertificate, requestDigest: OTHER_DIGEST, requestedAt: null };

const FACTS: EnrolmentFacts = {
  controlPlane: CP,
  declared: bySsh,
  enrolmentKeys: [publicHalf(newKey()), publicHalf(tokenKey)],
  revocation: null,
  lastIssued: null,
  nonces: new Map(),
  noncesSince: null,
};
const TOKEN_FACTS: EnrolmentFacts = { ...FACTS, declared: byToken };
const AWAY_FACTS: EnrolmentFacts = { ...FACTS, lastIssued: last };

const ask = (more: Partial<Parameters<typeof enrolWithToken>[0]> = {}) => ({
  controlPlane: CP,
  host: web1,
  now: NOW,
  csr,
  ...more,
});

type TokenForm = Parameters<typeof makeJoinToken>[0];
const NONCE = Buffer.alloc(16, 7);
const token = (form: Partial<TokenForm> = {}) =>
  makeJoinToken({
    privateKey: tokenKey,
    host: web1,
    controlPlane: CP,
    keyThumbprint: null,
    nonce: NONCE,
    now: NOW,
    validSecs: 3600,
    ...form,
  });

const ssh = (more: Parameters<typeof ask>[0] = {}) => enrolWithSshKey(ask(more), sshKey);
const previous = (more: Parameters<typeof ask>[0] = {}) => enrolWithPrevious(ask(more), lastKey);
const joins = async (form: Partial<TokenForm> = {}) => enrolWithToken(ask(), await token(form));

const judged = (request: EnrolmentRequest, facts: EnrolmentFacts, now = NOW) =>
  codeOf(judgeEnrolment(request, facts, now));

/** A signature over the right bytes, in another namespace or of another statement. */
function sshSigned(namespace: string, message: Uint8Array, privateKey = sshKey): EnrolmentRequest {
  const signature = armouredSshSignature(makeSshSignature({ privateKey, namespace, message }));
  return { ...ssh(), proof: { kind: "ssh", signature } };
}

describe("each refusal by its name", () => {
  type Row = readonly [
    string,
    () => EnrolmentRequest | Promise<EnrolmentRequest>,
    EnrolmentFacts,
    string,
  ];
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
  const rows: readonly Row[] = [
    ["an SSH host key", ssh, FACTS, "ok"],
    [
      "an SSH host key of P-256",
      () => enrolWithSshKey(ask(), tlsKey),
      {
        ...FACTS,
        declared: { channel: stable, sshHostKey: formatSshPublicKey(publicHalf(tlsKey)) },
      },
      "ok",
    ],
    ["a join token", joins, TOKEN_FACTS, "ok"],
    [
      "a join token for this key",
      () => joins({ keyThumbprint: thumbprint(publicHalf(tlsKey)) }),
      TOKEN_FACTS,
      "ok",
    ],
    ["the key of a certificate that ended months ago", previous, AWAY_FACTS, "ok"],
    ["an unknown host", ssh, { ...FACTS, declared: null }, "unknown-host"],
    ["a revoked host", ssh, { ...FACTS, revocation: { before: null } }, "revoked"],
    [
      "a revoked host with a token",
      joins,
      { ...TOKEN_FACTS, revocation: { before: null } },
      "revoked",
    ],
    [
      "a replaced machine with its new SSH key",
      ssh,
      { ...FACTS, revocation: { before: at(-DAY) } },
      "ok",
    ],
    [
      "a revocation from tomorrow on backwards",
      ssh,
      { ...FACTS, revocation: { before: at(DAY) } },
      "revoked",
    ],
    ["another CP", () => ssh({ controlPlane: "cp-2" }), FACTS, "wrong-cp"],
    [
      "a request made for another CP, renamed",
      () => ({ ...ssh({ controlPlane: "cp-2" }), controlPlane: CP }),
      FACTS,
      "bad-signature",
    ],
    ["a request of ten minutes ago", () => ssh({ now: at(-10 * MINUTE) }), FACTS, "ok"],
    [
      "a request of more than ten minutes ago",
      () => ssh({ now: at(-10 * MINUTE - 1) }),
      FACTS,
      "expired",
    ],
    ["a request of ten minutes ahead", () => ssh({ now: at(10 * MINUTE) }), FACTS, "ok"],
    [
      "a request from further ahead",
      () => ssh({ now: at(10 * MINUTE + 1) }),
      FACTS,
      "future-dated",
    ],
    ["a date that was altered", () => ({ ...ssh(), requestedAt: at(1) }), FACTS, "bad-signature"],
    [
      "another certificate request under the signature",
      async () => ({
        ...ssh(),
        csr: toBase64(await makeCertificateRequest({ name: web1, privateKey: lastKey })),
      }),
      FACTS,
      "bad-signature",
    ],
    [
      "another host's signature",
      () => ({ ...ssh({ host: web2 }), host: web1 }),
      FACTS,
      "bad-signature",
    ],
    [
      "another SSH key than the declared one",
      () => enrolWithSshKey(ask(), newKey()),
      FACTS,
      "key-mismatch",
    ],
    ["an SSH proof where no key is declared", ssh, TOKEN_FACTS, "no-host-key"],
    [
      "an SSH key declared that is RSA",
      ssh,
      {
        ...FACTS,
        declared: {
          channel: stable,
          sshHostKey: `ssh-rsa ${toBase64(rsa.export({ format: "der", type: "spki" }))}`,
        },
      },
      "no-host-key",
    ],
    [
      "an SSH signature for another purpose",
      () => sshSigned("git", enrolmentBytes(ssh(), "ssh")),
      FACTS,
      "wrong-namespace",
    ],
    [
      "an SSH signature of a statement for another proof",
      () => sshSigned("nixwave-enroll", enrolmentBytes(ssh(), "previous")),
      FACTS,
      "bad-signature",
    ],
    [
      "an SSH signature that is none",
      () => ({ ...ssh(), proof: { kind: "ssh", signature: "x" } }),
      FACTS,
      "malformed-proof",
    ],
    [
      "a certificate request for another host",
      async () => ssh({ csr: await makeCertificateRequest({ name: web2, privateKey: tlsKey }) }),
      FACTS,
      "wrong-name",
    ],
    ["no certificate request", () => ssh({ csr: Buffer.from("none") }), FACTS, "malformed-request"],
    [
      "a certificate request with another spelling of base64",
      () => ({ ...ssh(), csr: `${toBase64(csr)}\n` }),
      FACTS,
      "malformed-request",
    ],
    [
      "a request that is older than the last one answered",
      ssh,
      { ...FACTS, lastIssued: { ...last, requestedAt: at(1) } },
      "replayed-request",
    ],
    [
      "a second request of one instant",
      ssh,
      { ...FACTS, lastIssued: { ...last, requestedAt: NOW } },
      "replayed-request",
    ],
    ["a token that is expired", () => joins({ now: at(-2 * 60 * MINUTE) }), TOKEN_FACTS, "expired"],
    ["a token from the future", () => joins({ now: at(11 * MINUTE) }), TOKEN_FACTS, "future-dated"],
    [
      "a token for another host",
      () => joins({ host: web2 }),
      TOKEN_FACTS,
      "token-for-another-host",
    ],
    ["a token for another CP", () => joins({ controlPlane: "cp-2" }), TOKEN_FACTS, "wrong-cp"],
    [
      "a token for another key",
      () => joins({ keyThumbprint: thumbprint(publicHalf(lastKey)) }),
      TOKEN_FACTS,
      "key-mismatch",
    ],
    [
      "a token by a key that is not listed",
      () => joins({ privateKey: newKey() }),
      TOKEN_FACTS,
      "unknown-token-key",
    ],
    [
      "a token that another request used",
      joins,
      {
        ...TOKEN_FACTS,
        nonces: new Map([
          [NONCE.toString("base64url"), { requestDigest: OTHER_DIGEST, isAnswered: true }],
        ]),
      },
      "replayed-token",
    ],
    [
      "a token that another request has reserved",
      joins,
      {
        ...TOKEN_FACTS,
        nonces: new Map([
          [NONCE.toString("base64url"), { requestDigest: OTHER_DIGEST, isAnswered: false }],
        ]),
      },
      "replayed-token",
    ],
    [
      "a token from before the database was restored",
      joins,
      { ...TOKEN_FACTS, noncesSince: at(1) },
      "token-not-known-unused",
    ],
    ["a token where an SSH key is declared", joins, FACTS, "host-key-declared"],
    ["a token that is none", () => enrolWithToken(ask(), "a.b"), TOKEN_FACTS, "malformed-proof"],
    ["a previous key where none is known", previous, FACTS, "never-enrolled"],
    [
      "another key than the last certificate's",
      () => enrolWithPrevious(ask(), newKey()),
      AWAY_FACTS,
      "key-mismatch",
    ],
    [
      "a previous signature that is no base64",
      () => ({ ...previous(), proof: { kind: "previous", signature: "-" } }),
      AWAY_FACTS,
      "malformed-proof",
    ],
    [
      "a previous proof out of time",
      () => previous({ now: at(-11 * MINUTE) }),
      AWAY_FACTS,
      "expired",
    ],
    [
      "a last certificate from before the machine was replaced",
      previous,
      { ...AWAY_FACTS, revocation: { before: at(-100 * DAY) } },
      "revoked",
    ],
  ];
  test.each(rows)("%s", async (_, request, facts, expected) => {
    const judgement = judgeEnrolment(await request(), facts, NOW);
    expect(codeOf(judgement)).toBe(expected);
    // A sentence for people, that names neither a token nor a signature.
    if (!judgement.ok) expect(judgement.error.sentence).toMatch(/^[A-Zf/a-z0-9-].{20,400}\.$/s);
  });
});

/** The CP's store as far as enrolment goes: what is judged is reserved in the same step, and committed with the certificate. */
class Store {
  readonly nonces = new Map<string, { requestDigest: Sha256; isAnswered: boolean }>();
  lastIssued: EnrolmentFacts["lastIssued"] = null;

  facts() {
    return { nonces: this.nonces, lastIssued: this.lastIssued };
  }

  judge(request: EnrolmentRequest, declared: EnrolmentFacts["declared"], now = NOW) {
    const verdict = judgeEnrolment(request, { ...FACTS, ...this.facts(), declared }, now);
    if (verdict.ok && verdict.value.kind === "issue" && verdict.value.nonce !== null) {
      const { nonce, requestDigest } = verdict.value;
      this.nonces.set(nonce.value, { requestDigest, isAnswered: false });
    }
    return verdict;
  }

  async answer(verdict: EnrolmentVerdict, now = NOW): Promise<Certificate> {
    if (verdict.kind === "again") return verdict.certificate;
    const { host, key, requestDigest, requestedAt, nonce } = verdict;
    const form = { name: host, key, serial: serial(), now };
    const certificate = await issueForAgent(ca.issuer, form);
    if (nonce !== null) this.nonces.set(nonce.value, { requestDigest, isAnswered: true });
    this.lastIssued = { certificate, requestDigest, requestedAt };
    return certificate;
  }
}

describe("one answer per request", () => {
  test("what is issued names the host and the key that asked", async () => {
    const store = new Store();
    const certificate = await store.answer(given(store.judge(ssh(), bySsh)));
    const { principal } = given(principalOf(certificate.der, [ca.authority], NOW));
    expect([principal.name, thumbprint(certificate.key)]).toEqual([
      "web-1",
      thumbprint(publicHalf(tlsKey)),
    ]);
  });

  test("the answer was lost: the same request gets the same certificate, also when token and window are over", async () => {
    for (const [request, declared] of [
      [ssh(), bySsh],
      [await joins(), byToken],
    ] as const) {
      const store = new Store();
      const first = await store.answer(given(store.judge(request, declared)));
      const second = await store.answer(given(store.judge(request, declared, at(DAY))));
      expect(second).toBe(first);
    }
  });

  test("the same request again, its certificate ended, is refused", async () => {
    const store = new Store();
    await store.answer(given(store.judge(ssh(), bySsh)));
    expect(codeOf(store.judge(ssh(), bySsh, at(31 * DAY)))).toBe("expired");
  });

  test("two requests with one token at the same instant: exactly one wins (hazard 67)", async () => {
    const store = new Store();
    const text = await token();
    const other = await makeCertificateRequest({ name: web1, privateKey: newKey() });
    const verdicts = [ask(), ask({ csr: other })].map((each) =>
      codeOf(store.judge(enrolWithToken(each, text), byToken)),
    );
    expect(verdicts).toEqual(["ok", "replayed-token"]);
  });

  test("the CP stopped between reserving and issuing: the same request goes on, another does not (hazard 67)", async () => {
    const store = new Store();
    const request = await joins();
    given(store.judge(request, byToken));
    expect(codeOf(store.judge({ ...request, requestedAt: at(1) }, byToken))).toBe("replayed-token");
    const verdict = given(store.judge(request, byToken));
    expect(verdict.kind).toBe("issue");
  });

  test("a token that was answered, and then superseded by a renewal, is used up", async () => {
    const store = new Store();
    const request = await joins();
    await store.answer(given(store.judge(request, byToken)));
    store.lastIssued = last;
    expect(codeOf(store.judge(request, byToken))).toBe("replayed-token");
  });

  test("the database is lost: the token's nonce is unknown, and its date refuses it (hazard 68)", async () => {
    const store = new Store();
    const request = await joins();
    await store.answer(given(store.judge(request, byToken)));
    const restored = { ...TOKEN_FACTS, noncesSince: at(MINUTE) };
    expect(judged(request, restored, at(MINUTE))).toBe("token-not-known-unused");
    // The SSH host key and a running certificate go on as if nothing had been.
    expect(judged(ssh(), { ...restored, declared: bySsh })).toBe("ok");
  });

  test("the store restored from a backup: the last certificate is an older one, and its key alone counts", async () => {
    const store = new Store();
    await store.answer(given(store.judge(ssh(), bySsh)));
    store.lastIssued = last;
    expect(codeOf(store.judge(enrolWithPrevious(ask(), tlsKey), bySsh))).toBe("key-mismatch");
    expect(codeOf(store.judge(previous(), bySsh))).toBe("ok");
  });
});

describe("renewal", () => {
  const renewal = { host: web1, csr: toBase64(csr) };
  test("gives the next certificate, and the same one again", async () => {
    const store = new Store();
    const judge = () => judgeRenewal(renewal, { ...FACTS, ...store.facts() }, NOW);
    const first = await store.answer(given(judge()));
    expect(given(judge())).toEqual({ kind: "again", certificate: first });
  });
  test("is refused for a revoked, an undeclared and another host", () => {
    const codes = [
      judgeRenewal(renewal, { ...FACTS, revocation: { before: null } }, NOW),
      judgeRenewal(renewal, { ...FACTS, declared: null }, NOW),
      judgeRenewal({ ...renewal, host: web2 }, FACTS, NOW),
    ].map(codeOf);
    expect(codes).toEqual(["revoked", "unknown-host", "wrong-name"]);
  });
});

test("revocation by date: certificates from before it are refused, later ones are not; un-revoking works", async () => {
  const fresh = await issueForAgent(ca.issuer, {
    name: web1,
    key: publicHalf(tlsKey),
    serial: serial(),
    now: NOW,
  });
  const table = [null, { before: null }, { before: at(-1) }, { before: NOW }].map((revocation) =>
    isRevoked(revocation, fresh),
  );
  expect(table).toEqual([false, true, false, true]);
});

test("a request is the same after the wire, and unknown fields are passed over (hazard 84)", async () => {
  for (const request of [ssh(), await joins(), previous()]) {
    const wire: unknown = {
      ...JSON.parse(JSON.stringify(enrolmentRequestSchema.encode(request))),
      later: 1,
    };
    expect(enrolmentRequestSchema.parse(wire)).toEqual(request);
  }
});

test("what is signed can be read by a person, and has no second reading", () => {
  const request = ssh();
  expect(Buffer.from(enrolmentBytes(request, "ssh")).toString()).toMatch(
    /^nixwave enrolment 1\ncontrol plane cp-1\nhost web-1\nat 2026-11-24T13:00:00.000Z\nrequest [0-9a-f]{64}\nproof ssh\n$/,
  );
  for (const controlPlane of ["cp-1\nhost web-2", "", "cp 1"]) {
    expect(
      enrolmentRequestSchema.safeParse({ ...enrolmentRequestSchema.encode(request), controlPlane })
        .success,
    ).toBe(false);
  }
  expect(hostName.safeParse("web-1\n").success).toBe(false);
  expect(signWith(sshKey, enrolmentBytes(request, "ssh"))).toHaveLength(64);
});
