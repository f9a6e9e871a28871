import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import type { HostName } from "@nixwave/effects";
import {
  type Authority,
  type CertificateRefusal,
  type Identified,
  principalOf,
} from "@nixwave/protocol";
import type { Clock, Logger } from "../ports.ts";
import { Seldom } from "./seldom.ts";

/** Who is at the other end of a connection: read once, when its handshake is done. */
export type Peer =
  | { readonly kind: "nobody" }
  | { readonly kind: "refused"; readonly refusal: CertificateRefusal }
  | ({ readonly kind: "known" } & Identified);

/** A fleet that comes back all at once has its handshakes done in turn; one address may be the way out of a whole site. */
const HANDSHAKES_MAX = { each: 1024, all: 4096 } as const;
/** Without a certificate: hosts that enrol, operators with a token, and strangers. */
const NOBODIES_MAX = { each: 128, all: 1024 } as const;
/** An agent has two or three: its poll, its requests, and those that a renewal leaves to finish. */
const CONNECTIONS_OF_HOST_MAX = 16;

interface Limit {
  readonly each: number;
  readonly all: number;
}

/** How many there are, in all and of each address. */
class Counted {
  readonly #of = new Map<string, Set<Socket>>();
  #all = 0;

  /** False where the limit is reached. */
  add(address: string, socket: Socket, limit: Limit): boolean {
    const own = this.#of.get(address) ?? new Set();
    if (this.#all >= limit.all || own.size >= limit.each) return false;
    this.#of.set(address, own.add(socket));
    this.#all += 1;
    return true;
  }

  remove(address: string, socket: Socket): void {
    const own = this.#of.get(address);
    if (own?.delete(socket) !== true) return;
    this.#all -= 1;
    if (own.size === 0) this.#of.delete(address);
  }
}

interface Ports {
  readonly authorities: readonly Authority[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** The open connections of a TLS listener: whose they are, within limits that neither strangers nor one host can use up. */
export class Connections {
  readonly #ports: Ports;
  readonly #peers = new WeakMap<Socket, Peer>();
  readonly #ofHosts = new Map<HostName, Map<TLSSocket, Identified>>();
  readonly #handshakes = new Counted();
  readonly #nobodies = new Counted();
  readonly #seldom = new Seldom();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  watch(server: Server): void {
    const shaking = new Map<string, Socket>();
    const done = (address: string, port: number | undefined): void => {
      const raw = shaking.get(`${address} ${port}`);
      if (raw === undefined) return;
      shaking.delete(`${address} ${port}`);
      this.#handshakes.remove(address, raw);
    };
    server.on("connection", (raw: Socket) => {
      const { remoteAddress: address = "", remotePort: port } = raw;
      if (!this.#handshakes.add(address, raw, HANDSHAKES_MAX)) {
        this.#say("connection refused", { address, code: "too-many-handshakes" });
        raw.destroy();
        return;
      }
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

  /** Ends the open connections of hosts' certificates that `isRefused` names, parked polls among them. */
  cut(isRefused: (holder: { readonly host: HostName } & Identified) => boolean): void {
    for (const [host, sockets] of this.#ofHosts)
      for (const [socket, identified] of sockets)
        if (isRefused({ host, ...identified })) socket.destroy();
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
      case "known":
        if (peer.principal.kind === "host") this.#keep(socket, peer.principal.name, peer);
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
    if (!this.#nobodies.add(address, socket, NOBODIES_MAX)) {
      this.#say("connection refused", { address, code: "too-many-without-certificate" });
      socket.destroy();
      return;
    }
    socket.once("close", () => this.#nobodies.remove(address, socket));
  }

  /** The oldest goes where there are too many: whoever floods with a host's certificate has only that host's to lose. */
  #keep(socket: TLSSocket, host: HostName, identified: Identified): void {
    const own = this.#ofHosts.get(host) ?? new Map<TLSSocket, Identified>();
    this.#ofHosts.set(host, own.set(socket, identified));
    socket.once("close", () => {
      own.delete(socket);
      if (own.size === 0 && this.#ofHosts.get(host) === own) this.#ofHosts.delete(host);
    });
    const [oldest] = own.keys();
    if (own.size > CONNECTIONS_OF_HOST_MAX) oldest?.destroy();
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
