import { addSecs, type Instant } from "@nixwave/effects";
import type { Clock, Logger, Timer } from "../ports.ts";
import {
  openServerCertificate,
  type ServerCertificate,
  type ServerMaking,
} from "./serverCertificate.ts";

/** After a renewal that failed: the present certificate holds for half of its life yet. */
const TRY_AGAIN_SECS = 3600;

interface Ports {
  readonly clock: Clock;
  readonly timer: Timer;
  readonly log: Logger;
}

/** The certificate that is served with, renewed in time without a restart. */
export class ServingCertificate {
  readonly #making: Omit<ServerMaking, "now">;
  readonly #ports: Ports;
  #current: ServerCertificate;
  #use: (next: ServerCertificate) => void = () => undefined;
  #cancel: () => void = () => undefined;

  private constructor(
    making: Omit<ServerMaking, "now">,
    { ports, current }: { readonly ports: Ports; readonly current: ServerCertificate },
  ) {
    this.#making = making;
    this.#ports = ports;
    this.#current = current;
  }

  static async open(making: Omit<ServerMaking, "now">, ports: Ports): Promise<ServingCertificate> {
    const current = await openServerCertificate({ ...making, now: ports.clock.now() });
    return new ServingCertificate(making, { ports, current });
  }

  get current(): ServerCertificate {
    return this.#current;
  }

  /** `use` is given each later certificate: open connections go on, new ones get it. */
  keepNew(use: (next: ServerCertificate) => void): void {
    this.#use = use;
    this.#wait(this.#current.renewAt);
  }

  stop(): void {
    this.#cancel();
    this.#use = () => undefined;
  }

  #wait(at: Instant): void {
    this.#cancel = this.#ports.timer.at(at, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { clock, log } = this.#ports;
    const now = clock.now();
    try {
      const next = await openServerCertificate({ ...this.#making, now });
      if (next.cert !== this.#current.cert) {
        this.#current = next;
        this.#use(next);
        log.log("info", "server certificate renewed", { notAfter: next.notAfter });
      }
      this.#wait(next.renewAt);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      log.log("error", "the server certificate can't be renewed", { reason });
      this.#wait(addSecs(now, TRY_AGAIN_SECS));
    }
  }
}
