import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { type HostName, type Instant, secsBetween } from "@nixwave/effects";
import {
  type Authority,
  type CertificateRefusal,
  type Identified,
  principalOf,
} from "@nixwave/protocol";
import type { Clock, Logger } from "../ports.ts";
import { Crowd } from "./crowd.ts";
import { networkOf } from "./network.ts";
import { OwnConnections } from "./ownConnections.ts";
import { Seldom } from "./seldom.ts";

/** Who is at the other end of a connection: read once, when its handshake is done. */
export type Peer =
  | { readonly kind: "nobody" }
  | { readonly kind: "refused"; readonly refusal: CertificateRefusal }
  | ({ readonly kind: "known" } & Identified);

/** A fleet that comes back all at once has its handshakes done in turn; one address may be the way out of a whole site. */
const HANDSHAKES_MAX = { each: 1024, all: 4096 } as const;
/** A handshake takes one round trip; one that was begun and is no further by now may be ended for a newcomer's sake. */
const HANDSHAKE_SECS_SURE = 3;
/** Without a certificate: hosts that enrol, and strangers. */
const NOBODIES_MAX = { each: 128, all: 1024 } as const;
/** An agent has two or three: its poll, its requests, and those that a renewal leaves to finish. */
const CONNECTIONS_OF_HOST_MAX = 16;
/** Screens, scripts and a monitoring that ask by one token or certificate. */
const CONNECTIONS_OF_OPERATOR_MAX = 64;

/** A host's certificate on a connection. */
type Holder = { readonly host: HostName } & Identified;

interface Ports {
  readonly authorities: readonly Authority[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether a whole request of this connection is being answered. */
  readonly isAnswering: (socket: Socket) => boolean;
}

/** The open connections of a TLS listener: whose they are, within limits that neither strangers nor one host can use up. */
export class Connections {
  readonly #ports: Ports;
  readonly #peers = new WeakMap<Socket, Peer>();
  readonly #began = new WeakMap<Socket, Instant>();
  readonly #handshakes: Crowd;
  readonly #nobodies: Crowd;
  readonly #ofHosts = new OwnConnections<Holder>(CONNECTIONS_OF_HOST_MAX);
  readonly #ofOperators = new OwnConnections<null>(CONNECTIONS_OF_OPERATOR_MAX);
  readonly #seldom = new Seldom();
  #isRefused: (holder: Holder) => boolean = () => false;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#handshakes = new Crowd(HANDSHAKES_MAX, (socket) => this.#isSlow(socket));
    this.#nobodies = new Crowd(NOBODIES_MAX, (socket) => !ports.isAnswering(socket));
  }

  watch(server: Server): void {
    const shaking = new Map<string, Socket>();
    const done = (address: string, port: number | undefined): void => {
      const raw = shaking.get(`${address} ${port}`);
      if (raw === undefined) return;
      shaking.delete(`${address} ${port}`);
      this.#handshakes.remove(networkOf(address), raw);
    };
    server.on("connection", (raw: Socket) => {
      const { remoteAddress: address = "", remotePort: port } = raw;
      if (!this.#handshakes.add(networkOf(address), raw)) {
        this.#say("connection refused", { address, code: "too-many-handshakes" });
        raw.destroy();
        return;
      }
      this.#began.set(raw, this.#ports.clock.now());
      shaking.set(`${address} ${port}`, raw);
      raw.once("close", () => done(address, port));
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      done(socket.remoteAddress ?? "", socket.remotePort);
      this.#greet(socket);
    });
    server.on("tlsClientError", (error: Error & { readonly code?: string }, socket: TLSSocket) => {
      done(socket.remoteAddress ?? "", socket.remotePort);
      const [address, code] = [socket.remoteAddress ?? "", error.code ?? error.message];
      // Whoever hangs up, a port scan or a load balancer's look, is no news.
      if (code !== "ECONNRESET") this.#say("TLS handshake failed", { address, code });
    });
  }

  peer(socket: Socket): Peer {
    return this.#peers.get(socket) ?? { kind: "nobody" };
  }

  /** A token has said who calls: the connection is one of this operator's, and no stranger's any more. */
  operatorOn(socket: Socket, name: string): void {
    if (socket.destroyed) return;
    this.#nobodies.remove(networkOf(socket.remoteAddress ?? ""), socket);
    this.#ofOperators.keep(name, socket, null);
  }

  /**
   * Ends the open connections of hosts' certificates that `isRefused` names, parked polls among them. From then on such a certificate is a
   * stranger's: it must not take the places of the host that was installed anew.
   */
  cut(isRefused: (holder: Holder) => boolean): void {
    this.#isRefused = isRefused;
    for (const [socket, holder] of this.#ofHosts.all()) if (isRefused(holder)) socket.destroy();
  }

  #greet(socket: TLSSocket): void {
    const address = socket.remoteAddress ?? "";
    const peer = this.#identify(socket);
    this.#peers.set(socket, peer);
    switch (peer.kind) {
      case "refused":
        this.#say("client certificate refused", {
          address,
          code: peer.refusal.code,
          reason: peer.refusal.sentence,
        });
        this.#letIn(socket, address);
        return;
      case "nobody":
        this.#letIn(socket, address);
        return;
      case "known": {
        const { principal } = peer;
        if (principal.kind === "operator") {
          this.#ofOperators.keep(principal.name, socket, null);
          return;
        }
        const holder = { host: principal.name, ...peer };
        if (this.#isRefused(holder)) this.#letIn(socket, address);
        else this.#ofHosts.keep(principal.name, socket, holder);
      }
    }
  }

  #identify(socket: TLSSocket): Peer {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return { kind: "nobody" };
    const { authorities, clock } = this.#ports;
    const who = principalOf(certificate.raw, authorities, clock.now());
    return who.ok ? { kind: "known", ...who.value } : { kind: "refused", refusal: who.error };
  }

  #letIn(socket: TLSSocket, address: string): void {
    const network = networkOf(address);
    if (!this.#nobodies.add(network, socket)) {
      this.#say("connection refused", { address, code: "too-many-without-certificate" });
      socket.destroy();
      return;
    }
    socket.once("close", () => this.#nobodies.remove(network, socket));
  }

  /** The first word is the client's, and a real one has it on its way before we can ask. */
  #isSlow(raw: Socket): boolean {
    if (raw.bytesRead === 0) return true;
    const began = this.#began.get(raw);
    return began !== undefined && secsBetween(began, this.#ports.clock.now()) > HANDSHAKE_SECS_SURE;
  }

  #say(
    message: string,
    fields: { readonly address: string; readonly code: string; readonly reason?: string },
  ): void {
    const { clock, log } = this.#ports;
    if (!this.#seldom.isDue(`${fields.address} ${fields.code}`, clock.now())) return;
    log.log("warn", message, { target: "tls", ...fields });
  }
}
