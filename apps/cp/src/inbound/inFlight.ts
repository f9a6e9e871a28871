import type { FastifyInstance } from "fastify";

/**
 * The requests that are not answered yet. Node tells idle connections only from those that once had a request, so a stop
 * that waited for its list would wait for every client that has merely connected.
 */
export class InFlight {
  #count = 0;
  #none: () => void = () => {};

  /** Before any other hook, since one that refuses ends the chain. */
  watch(server: FastifyInstance): void {
    server.addHook("onRequest", async (_request, reply) => {
      this.#count += 1;
      reply.raw.once("close", () => {
        this.#count -= 1;
        if (this.#count === 0) this.#none();
      });
    });
  }

  /** Resolves once every request was answered or given up. */
  none(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#none = resolve;
    });
  }
}
