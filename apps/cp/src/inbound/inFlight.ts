import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { ProblemError } from "./problemError.ts";

/**
 * The requests that are not answered yet. Node tells idle connections only from those that once had a request, so a stop
 * that waited for its list would wait for every client that has merely connected.
 */
export class InFlight {
  #count = 0;
  #none: () => void = () => {};
  /** The newest answer on each connection. */
  readonly #on = new WeakMap<Socket, ServerResponse>();

  /** Before any other hook, since one that refuses ends the chain. */
  watch(server: FastifyInstance): void {
    server.addHook("onRequest", async ({ raw: { socket } }, reply) => {
      this.#count += 1;
      reply.raw.once("close", () => {
        this.#count -= 1;
        if (this.#count === 0) this.#none();
      });
      // No client of ours does it, and a few kilobytes could ask for gigabytes that nobody takes.
      if (this.#isUnanswered(socket)) {
        socket.destroy();
        throw ProblemError.of(
          "bad-request",
          "A request came before the answer to the one before it: wait for each answer, or open more connections.",
        );
      }
      this.#on.set(socket, reply.raw);
    });
  }

  /** Whether a request of this connection has arrived as a whole and is not answered yet. */
  isAnswering(socket: Socket): boolean {
    return this.#isUnanswered(socket) && this.#on.get(socket)?.req.complete === true;
  }

  /** Resolves once every request was answered or given up. */
  none(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#none = resolve;
    });
  }

  /** Its end was not written: by what is on the wire, the client can't have seen it. */
  #isUnanswered(socket: Socket): boolean {
    const answer = this.#on.get(socket);
    return answer !== undefined && !answer.writableEnded && !answer.destroyed;
  }
}
