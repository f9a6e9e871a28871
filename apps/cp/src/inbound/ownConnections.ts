import type { Socket } from "node:net";

/** The open connections of those whom we know, by name. Beyond the limit the oldest goes: whoever floods has only his own to lose. */
export class OwnConnections<V> {
  readonly #of = new Map<string, Map<Socket, V>>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  keep(name: string, socket: Socket, about: V): void {
    const own = this.#of.get(name) ?? new Map<Socket, V>();
    if (own.has(socket)) return;
    this.#of.set(name, own.set(socket, about));
    socket.once("close", () => {
      own.delete(socket);
      if (own.size === 0 && this.#of.get(name) === own) this.#of.delete(name);
    });
    const [oldest] = own.keys();
    if (own.size <= this.#max || oldest === undefined) return;
    // Its close comes later, and others may come before that.
    own.delete(oldest);
    oldest.destroy();
  }

  *all(): Generator<readonly [Socket, V]> {
    for (const own of this.#of.values()) yield* own;
  }
}
