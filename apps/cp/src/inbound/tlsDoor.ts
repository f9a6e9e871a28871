import type { Socket } from "node:net";
import type { Instant, Sha256 } from "@nixwave/effects";
import {
  type Certificate,
  checkOperatorToken,
  formatInstant,
  HEADER,
  type Identified,
  isRevoked,
} from "@nixwave/protocol";
import type { FastifyRequest } from "fastify";
import type { FleetTrust } from "../fleetTrust.ts";
import type { Clock } from "../ports.ts";
import type { Operators } from "../store/operators.ts";
import type { Connections } from "./connections.ts";
import { networkOf } from "./network.ts";
import type { OperatorConnections } from "./operatorConnections.ts";
import type { Door, Principal } from "./principal.ts";
import { ProblemError } from "./problemError.ts";
import { RateLimit } from "./rateLimit.ts";

/** More than any agent needs, also while it fetches a repository's files anew. */
const REQUESTS_OF_HOST = { perSec: 20, burst: 1000 } as const;
/** A few people, their screens, and what reads /metrics with the same token. */
const REQUESTS_OF_OPERATOR = { perSec: 50, burst: 1000 } as const;
/** Hosts of a whole site that enrol, looks at /readyz, and guesses at tokens. */
const REQUESTS_OF_NETWORK = { perSec: 50, burst: 1000 } as const;

export interface TlsDoorPorts {
  readonly connections: Connections;
  readonly fleetTrust: FleetTrust;
  readonly clock: Clock;
  readonly operators: Pick<Operators, "token" | "isCertificateRevoked">;
  readonly operatorConnections: OperatorConnections;
  readonly tokenUsed: (hash: Sha256, now: Instant) => void;
  readonly allowTokenAdmin: boolean;
}

const nobody = (sentence: string): ProblemError => ProblemError.of("unauthenticated", sentence);

/** Over TLS: a certificate or a token says who calls, a header never does. */
export function tlsDoor(ports: TlsDoorPorts): Door {
  const limits = new Limits(ports.clock);
  return {
    refuse: (request) => {
      refuseNames(request);
      count(request, ports, limits);
    },
    principal: (request) => principalOf(request, ports),
    agentHint:
      "The connection has no client certificate: enrol this host, and connect with its certificate.",
    operatorHint:
      "Nobody is named: send a token as Authorization: Bearer, or connect with an operator's certificate.",
  };
}

/** The headers that stand for names on the plain loopback: a client that sends them believes to be there. */
function refuseNames({ headers }: FastifyRequest): void {
  for (const header of [HEADER.host, HEADER.operator]) {
    if (headers[header] === undefined) continue;
    throw ProblemError.of(
      "forbidden",
      `The header ${header} is refused over TLS: a certificate or a token says who calls.`,
    );
  }
}

/** What each may ask in a time; whoever asks for more is told when to come again. */
class Limits {
  readonly #clock: Clock;
  readonly #hosts = new RateLimit(REQUESTS_OF_HOST);
  readonly #operators = new RateLimit(REQUESTS_OF_OPERATOR);
  readonly #networks = new RateLimit(REQUESTS_OF_NETWORK);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  host(name: string): void {
    this.#take(this.#hosts, name, `${name} makes more than ${REQUESTS_OF_HOST.perSec}`);
  }
  operator(name: string): void {
    this.#take(this.#operators, name, `${name} makes more than ${REQUESTS_OF_OPERATOR.perSec}`);
  }
  /** Whoever has neither a certificate nor a token that holds. */
  stranger({ ip }: FastifyRequest): void {
    const who = `Without a certificate or a token, ${ip} makes more than ${REQUESTS_OF_NETWORK.perSec}`;
    this.#take(this.#networks, networkOf(ip), who);
  }

  #take(limit: RateLimit, who: string, sentence: string): void {
    const waitSecs = limit.take(who, 1, this.#clock.now());
    if (waitSecs === 0) return;
    const detail = `${sentence} requests a second: come again in ${waitSecs} s.`;
    throw ProblemError.of("too-many", detail, waitSecs);
  }
}

/** Every request counts, those that no route takes too: against whoever makes it, else against where he is. */
function count(request: FastifyRequest, ports: TlsDoorPorts, limits: Limits): void {
  const { socket } = request.raw;
  const peer = ports.connections.peer(socket);
  if (peer.kind === "known") {
    const { principal } = peer;
    if (principal.kind === "host") limits.host(principal.name);
    else limits.operator(principal.name);
    return;
  }
  const token = tokenIn(request.headers.authorization);
  const checked = token === null ? null : check(token, ports);
  if (checked?.ok !== true) {
    limits.stranger(request);
    return;
  }
  limits.operator(checked.value.name);
  ports.connections.operatorOn(socket, checked.value.name);
}

function principalOf(request: FastifyRequest, ports: TlsDoorPorts): Principal | null {
  const { socket } = request.raw;
  const peer = ports.connections.peer(socket);
  const { authorization } = request.headers;
  if (peer.kind === "known") {
    if (authorization !== undefined)
      throw nobody("The request has both a client certificate and a token: send one of them.");
    return certified(peer, ports, socket);
  }
  // Someone who comes with a token may have a certificate of another kind in his browser.
  if (authorization !== undefined) return withToken(authorization, ports, socket);
  if (peer.kind === "nobody") return null;
  throw nobody(`${peer.refusal.code}: ${peer.refusal.sentence}`);
}

/** TLS has looked at the certificate once; what may have changed since is asked with each request. */
function certified(identified: Identified, ports: TlsDoorPorts, socket: Socket): Principal {
  const { principal, certificate } = identified;
  const now = ports.clock.now();
  if (now > certificate.notAfter) {
    throw nobody(
      `expired: the certificate ended at ${formatInstant(certificate.notAfter)}: enrol again.`,
    );
  }
  if (principal.kind === "host") return asHost(principal, certificate, ports);
  const holds = (): boolean =>
    ports.clock.now() <= certificate.notAfter &&
    !ports.operators.isCertificateRevoked(certificate.serial);
  if (!holds()) {
    throw nobody(
      `revoked: the certificate ${certificate.serial} of ${principal.name} was revoked.`,
    );
  }
  ports.operatorConnections.watch(socket, holds);
  return { ...principal, shortfall: null };
}

type HostPrincipal = Extract<Principal, { kind: "host" }>;

function asHost(
  principal: HostPrincipal,
  certificate: Certificate,
  ports: TlsDoorPorts,
): Principal {
  const facts = ports.fleetTrust.facts();
  if (facts === null) {
    // Only without a data directory that remembers them; the agent comes again, and keeps what it has to say.
    throw ProblemError.of(
      "not-ready",
      "No repository was verified here yet: who is revoked is in its fleet/revocations.json.",
    );
  }
  const revocation = facts.revocations.get(principal.name) ?? null;
  if (isRevoked(revocation, certificate)) {
    throw nobody(`revoked: ${principal.name}'s certificate is revoked by fleet/revocations.json.`);
  }
  return principal;
}

const BEARER = /^Bearer ([^ ]{1,256})$/i;
const TOKEN_ADMIN =
  "Admins need an operator's certificate here: make one with nixwave-cp operator-certificate, or start the control plane with --allow-token-admin.";

const tokenIn = (authorization: string | undefined): string | null =>
  authorization === undefined ? null : (BEARER.exec(authorization)?.[1] ?? "");

const check = (token: string, { operators, clock }: TlsDoorPorts) =>
  checkOperatorToken(token, operators.token, clock.now());

function withToken(authorization: string, ports: TlsDoorPorts, socket: Socket): Principal {
  const token = tokenIn(authorization) ?? "";
  const checked = check(token, ports);
  if (!checked.ok) throw nobody(`${checked.error.code}: ${checked.error.sentence}`);
  const { hash, name, role } = checked.value;
  ports.operatorConnections.watch(socket, () => check(token, ports).ok);
  ports.tokenUsed(hash, ports.clock.now());
  return role === "admin" && !ports.allowTokenAdmin
    ? { kind: "operator", name, role: "operator", shortfall: TOKEN_ADMIN }
    : { kind: "operator", name, role, shortfall: null };
}
