import type { Socket } from "node:net";

export interface CrowdLimit {
  readonly each: number;
  readonly all: number;
}

/** Whether a connection may be ended for the sake of a newcomer. */
export type MayGo = (socket: Socket) => boolean;

/**
 * Connections of people whom we don't know, in the order in which they came, counted by the network that they come from. Where it is
 * full, a newcomer takes the place of one that does nothing: of its own network, or of the one that has the most. So whoever holds many
 * places loses them, and whoever comes with one gets in.
 */
export class Crowd {
  readonly #of = new Map<string, Set<Socket>>();
  readonly #limit: CrowdLimit;
  readonly #mayGo: MayGo;
  #all = 0;

  constructor(limit: CrowdLimit, mayGo: MayGo) {
    this.#limit = limit;
    this.#mayGo = mayGo;
  }

  /** False where it is full and nobody gives way. */
  add(network: string, socket: Socket): boolean {
    if (!this.#makeRoom(network)) return false;
    const own = this.#of.get(network) ?? new Set();
    this.#of.set(network, own.add(socket));
    this.#all += 1;
    return true;
  }

  remove(network: string, socket: Socket): boolean {
    const own = this.#of.get(network);
    if (own?.delete(socket) !== true) return false;
    this.#all -= 1;
    if (own.size === 0) this.#of.delete(network);
    return true;
  }

  #makeRoom(network: string): boolean {
    const own = this.#of.get(network)?.size ?? 0;
    if (own >= this.#limit.each) return this.#endOne(network);
    if (this.#all < this.#limit.all) return true;
    const most = this.#greediest();
    return (most.count > own && this.#endOne(most.network)) || this.#endOne(network);
  }

  #endOne(network: string): boolean {
    for (const socket of this.#of.get(network) ?? []) {
      if (!this.#mayGo(socket)) continue;
      this.remove(network, socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  #greediest(): { readonly network: string; readonly count: number } {
    let most = { network: "", count: 0 };
    for (const [network, { size }] of this.#of)
      if (size > most.count) most = { network, count: size };
    return most;
  }
}
