import type { HostName } from "@nixwave/effects";
import {
  type Certificate,
  certificatePem,
  type Enrolled,
  type IdentityKey,
  type Issuer,
  issueForAgent,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import type { CertificateAsk, SignedFacts, Submit } from "../command.ts";
import type { FleetTrust } from "../fleetTrust.ts";
import type { Clock, Logger, Random } from "../ports.ts";
import { granted } from "./granted.ts";
import type { AgentHandlers, PublicHandlers } from "./handlers.ts";
import { networkOf } from "./network.ts";
import { ProblemError } from "./problemError.ts";
import { RateLimit } from "./rateLimit.ts";
import { Seldom } from "./seldom.ts";

/** A whole site may come through one address, and its hosts come again with jitter. */
const ATTEMPTS_OF_NETWORK = { perSec: 2, burst: 64 } as const;
/** Each attempt costs up to four signatures to check and two commits: a tenth of what one core does. */
const ATTEMPTS_OF_ALL = { perSec: 50, burst: 500 } as const;
/** A host renews every two weeks. */
const RENEWALS_OF_HOST = { perSec: 1 / 60, burst: 10 } as const;
/** A command that signs is a process, or a request to somebody's service. */
const SIGNING_MAX = 16;

export interface EnrolmentPorts {
  readonly submit: Submit;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly issuer: Issuer;
  /** The name of this control plane, as the requests sign it. */
  readonly name: string;
  readonly fleetTrust: FleetTrust;
}

export interface EnrolmentHandlers {
  readonly enroll: PublicHandlers["enroll"];
  readonly renewCertificate: AgentHandlers["renewCertificate"];
}

/** Reserve (commit) → sign → commit → answer: whenever it stops in between, the same request goes on where it was (hazard 67). */
export function enrolmentHandlers(ports: EnrolmentPorts): EnrolmentHandlers {
  const perNetwork = new RateLimit(ATTEMPTS_OF_NETWORK);
  const total = new RateLimit(ATTEMPTS_OF_ALL);
  const perHost = new RateLimit(RENEWALS_OF_HOST);
  const issuing = new Issuing(ports);
  const take = (limit: RateLimit, who: string): void => {
    const waitSecs = limit.take(who, 1, ports.clock.now());
    if (waitSecs === 0) return;
    throw ProblemError.of(
      "too-many",
      `Too many ask for certificates: ask again in ${waitSecs} s.`,
      waitSecs,
    );
  };
  return {
    enroll: ({ body }, { address }) => {
      take(perNetwork, networkOf(address));
      take(total, "all");
      return issuing.answer({ kind: "enrolment", request: body }, address);
    },
    renewCertificate: ({ body }, { principal }) => {
      take(perHost, principal.name);
      return issuing.answer(
        { kind: "renewal", host: principal.name, csr: body.csr },
        principal.name,
      );
    },
  };
}

class Issuing {
  readonly #ports: EnrolmentPorts;
  readonly #seldom = new Seldom();
  #signing = 0;

  constructor(ports: EnrolmentPorts) {
    this.#ports = ports;
  }

  /** `from`: who asks, for the log. */
  async answer(ask: CertificateAsk, from: string): Promise<Enrolled> {
    const host = ask.kind === "renewal" ? ask.host : ask.request.host;
    try {
      const certificate = await this.#certificate(ask, host);
      const { authority } = this.#ports.issuer;
      return { certificate: certificatePem(certificate), authority: certificatePem(authority) };
    } catch (cause) {
      if (cause instanceof ProblemError) this.#sayRefused(cause, { host, from });
      throw cause;
    }
  }

  async #certificate(ask: CertificateAsk, host: HostName): Promise<Certificate> {
    const { submit } = this.#ports;
    const reserved = granted(
      await submit<"ReserveCertificate">({
        kind: "ReserveCertificate",
        ask,
        facts: this.#facts(host),
      }),
    );
    if (reserved.kind === "again") return reserved.certificate;
    const certificate = await this.#sign(host, reserved.key);
    const issued = granted(
      await submit<"CommitCertificate">({
        kind: "CommitCertificate",
        ask,
        facts: this.#facts(host),
        certificate,
      }),
    );
    return issued.certificate;
  }

  #facts(host: HostName): SignedFacts {
    const facts = this.#ports.fleetTrust.facts();
    if (facts === null) {
      throw ProblemError.of(
        "not-ready",
        "No repository was verified here yet: who may enrol is in its fleet/hosts.json.",
      );
    }
    return {
      controlPlane: this.#ports.name,
      declared: facts.hosts.get(host) ?? null,
      enrolmentKeys: facts.enrolmentKeys.map(({ key }) => key),
      revocation: facts.revocations.get(host) ?? null,
    };
  }

  async #sign(name: HostName, key: IdentityKey): Promise<Certificate> {
    const { issuer, clock, random, log } = this.#ports;
    if (this.#signing >= SIGNING_MAX) {
      throw ProblemError.of(
        "queue-full",
        "Many certificates are being signed: ask again in a moment.",
      );
    }
    this.#signing += 1;
    try {
      const [serial, now] = [random.bytes(SERIAL_BYTES), clock.now()];
      return await issueForAgent(issuer, { name, key, serial, now });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (this.#seldom.isDue("signing", clock.now()))
        log.log("error", "a certificate can't be signed", { target: "enrolment", reason });
      throw ProblemError.of(
        "not-ready",
        "The CA can't sign at the moment; the control plane's log says why. Ask again later.",
      );
    } finally {
      this.#signing -= 1;
    }
  }

  #sayRefused(
    { problem: { code, detail } }: ProblemError,
    { host, from }: { readonly host: HostName; readonly from: string },
  ): void {
    const { clock, log } = this.#ports;
    if (code !== "enrolment-refused" || !this.#seldom.isDue(`${from} ${host}`, clock.now())) return;
    log.log("warn", "enrolment refused", { target: "enrolment", host, from, reason: detail });
  }
}
