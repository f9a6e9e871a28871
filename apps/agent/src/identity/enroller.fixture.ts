import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { type Instant, instant, type Result } from "@nixwave/effects";
import {
  type Authority,
  type Certificate,
  certificatePem,
  channel,
  type EnrolmentFacts,
  type EnrolmentRefusal,
  type EnrolmentVerdict,
  enrolmentRequestSchema,
  hostName,
  type IssuedCertificate,
  type Issuer,
  isRevoked,
  issueAuthority,
  issueForAgent,
  judgeEnrolment,
  judgeRenewal,
  keyIssuer,
  makeJoinToken,
  principalOf,
  problem,
  publicHalf,
  type Revocation,
  readCertificatePem,
  renewalRequestSchema,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import type { Connection, Http, HttpAnswer, HttpRequest, ShownIdentity } from "../ports.ts";

export const HOST = hostName.parse("web-1");
export const CP_NAME = "cp-1";
const AUTHORITY_AGE_MS = 100 * 24 * 3600 * 1000;

/** A CP's enrolment in memory, by the judges that the real one asks. What it forgets and how it fails is the test's to say. */
export class Enroller {
  readonly requests: string[] = [];
  /** Serial numbers, in their order. */
  readonly issued: string[] = [];
  sshHostKey: string | null = null;
  isDeclared = true;
  revocation: Revocation | null = null;
  lastIssued: IssuedCertificate | null = null;
  /** What befalls the next requests: first comes first. */
  readonly fates: ("lost-request" | "lost-answer" | "busy")[] = [];
  readonly tokenKey = generateKeyPairSync("ed25519").privateKey;
  readonly #nonces = new Map<
    string,
    { requestDigest: IssuedCertificate["requestDigest"]; isAnswered: boolean }
  >();
  readonly #now: () => Instant;
  authority: Authority;
  #privateKey: KeyObject;

  private constructor(now: () => Instant, authority: Authority, privateKey: KeyObject) {
    this.#now = now;
    this.authority = authority;
    this.#privateKey = privateKey;
  }

  static async open(now: () => Instant): Promise<Enroller> {
    const { privateKey } = generateKeyPairSync("ed25519");
    const authority = await issueAuthority({
      privateKey,
      serial: randomBytes(SERIAL_BYTES),
      // Older than any certificate that a test dates back.
      now: instant(now() - AUTHORITY_AGE_MS),
    });
    return new Enroller(now, authority, privateKey);
  }

  get issuer(): Issuer {
    return keyIssuer(this.authority, this.#privateKey);
  }

  /** As if its database were new: certificates that it gave hold on. */
  forget(): void {
    this.lastIssued = null;
    this.#nonces.clear();
  }

  token(validSecs = 3600): Promise<string> {
    return makeJoinToken({
      privateKey: this.tokenKey,
      host: HOST,
      controlPlane: CP_NAME,
      keyThumbprint: null,
      nonce: randomBytes(16),
      now: this.#now(),
      validSecs,
    });
  }

  issue(key: KeyObject, now: Instant): Promise<Certificate> {
    return issueForAgent(this.issuer, {
      name: HOST,
      key: publicHalf(key),
      serial: randomBytes(SERIAL_BYTES),
      now,
    });
  }

  async answer(request: HttpRequest, shown: ShownIdentity | null): Promise<HttpAnswer> {
    const fate = this.fates.shift();
    const { pathname } = new URL(request.url);
    const said = await this.#answerOf(pathname, request, shown, fate);
    this.requests.push(`${pathname}${fate === undefined ? "" : ` ${fate}`}: ${said.status}`);
    if (fate === "lost-request" || fate === "lost-answer") throw new Error("the connection broke");
    return said;
  }

  async #answerOf(
    pathname: string,
    request: HttpRequest,
    shown: ShownIdentity | null,
    fate: Enroller["fates"][number] | undefined,
  ): Promise<HttpAnswer> {
    if (fate === "lost-request") return jsonAnswer(0, null);
    if (fate === "busy") return problemAnswer("queue-full", "too much waits");
    if (pathname === "/v1/enroll") {
      const verdict = judgeEnrolment(
        enrolmentRequestSchema.parse(jsonOf(request)),
        this.#facts(),
        this.#now(),
      );
      return await this.#verdict(verdict);
    }
    if (!this.#knows(shown))
      return problemAnswer("unauthenticated", "nobody known makes this request");
    if (pathname !== "/v1/agent/renew") return jsonAnswer(200, {});
    const { csr } = renewalRequestSchema.parse(jsonOf(request));
    return await this.#verdict(judgeRenewal({ host: HOST, csr }, this.#facts(), this.#now()));
  }

  #knows(shown: ShownIdentity | null): boolean {
    const certificate = shown === null ? null : readCertificatePem(shown.certificate);
    if (certificate?.ok !== true) return false;
    const who = principalOf(certificate.value.der, [this.authority], this.#now());
    return who.ok && !isRevoked(this.revocation, certificate.value);
  }

  #facts(): EnrolmentFacts {
    return {
      controlPlane: CP_NAME,
      declared: this.isDeclared
        ? { channel: channel.parse("stable"), sshHostKey: this.sshHostKey }
        : null,
      enrolmentKeys: [publicHalf(this.tokenKey)],
      revocation: this.revocation,
      lastIssued: this.lastIssued,
      nonces: this.#nonces,
      noncesSince: null,
    };
  }

  async #verdict(verdict: Result<EnrolmentVerdict, EnrolmentRefusal>): Promise<HttpAnswer> {
    if (!verdict.ok)
      return problemAnswer("enrolment-refused", `${verdict.error.code}: ${verdict.error.sentence}`);
    const { value } = verdict;
    if (value.kind === "again") return this.#given(value.certificate);
    const { key, host: name, requestDigest, requestedAt, nonce } = value;
    const certificate = await issueForAgent(this.issuer, {
      name,
      key,
      serial: randomBytes(SERIAL_BYTES),
      now: this.#now(),
    });
    if (nonce !== null) this.#nonces.set(nonce.value, { requestDigest, isAnswered: true });
    this.lastIssued = { certificate, requestDigest, requestedAt };
    this.issued.push(certificate.serial);
    return this.#given(certificate);
  }

  #given(certificate: Certificate): HttpAnswer {
    const authority = certificatePem(this.authority);
    return jsonAnswer(200, { certificate: certificatePem(certificate), authority });
  }
}

const jsonOf = ({ body }: HttpRequest): unknown =>
  JSON.parse(typeof body === "string" ? body : "null");

const jsonAnswer = (status: number, body: unknown): HttpAnswer => ({
  status,
  headers: {},
  body: new TextEncoder().encode(JSON.stringify(body)),
});

function problemAnswer(code: Parameters<typeof problem>[0], detail: string): HttpAnswer {
  const document = problem(code, detail);
  return jsonAnswer(document.status, document);
}

/** Connections to it, without a network. */
export class MemoryConnection implements Connection {
  shown: ShownIdentity | null = null;
  pinned: string | null = null;
  readonly #enroller: Enroller;

  constructor(enroller: Enroller) {
    this.#enroller = enroller;
  }

  pin(authorities: string): void {
    this.pinned = authorities;
  }

  show(identity: ShownIdentity): void {
    this.shown = identity;
  }

  readonly http: Http = {
    request: (request) => {
      if (this.shown === null) return Promise.reject(new Error("this host has no certificate yet"));
      return this.#enroller.answer(request, this.shown);
    },
  };

  readonly anonymous: Http = { request: (request) => this.#enroller.answer(request, null) };
}

export const AT = instant(Date.UTC(2026, 10, 24, 13));
