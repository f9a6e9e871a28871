import type { Socket } from "node:net";
import { addSecs } from "@nixwave/effects";
import type { Clock, Timer } from "../ports.ts";

/** A stream stays open for hours; whoever was revoked reads on for no longer than this. */
const LOOK_EVERY_SECS = 1;

/**
 * The connections over which operators were let in. Each request is judged by itself; an answer that lasts, a stream, is not asked again
 * by anybody but this: it ends with the connection, once its token or certificate holds no more.
 */
export class OperatorConnections {
  readonly #ports: { readonly clock: Clock; readonly timer: Timer };
  readonly #open = new Map<Socket, () => boolean>();
  #cancel: (() => void) | null = null;

  constructor(ports: { readonly clock: Clock; readonly timer: Timer }) {
    this.#ports = ports;
  }

  /** `holds`: of the newest request of this connection. */
  watch(socket: Socket, holds: () => boolean): void {
    if (socket.destroyed) return;
    if (!this.#open.has(socket)) socket.once("close", () => this.#open.delete(socket));
    this.#open.set(socket, holds);
    if (this.#cancel === null) this.#arm();
  }

  stop(): void {
    this.#cancel?.();
    this.#open.clear();
  }

  #arm(): void {
    const { clock, timer } = this.#ports;
    this.#cancel = timer.at(addSecs(clock.now(), LOOK_EVERY_SECS), () => {
      this.#cancel = null;
      for (const [socket, holds] of this.#open) if (!holds()) socket.destroy();
      if (this.#open.size > 0) this.#arm();
    });
  }
}
