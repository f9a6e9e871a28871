import type { Instant } from "@nixwave/effects";
import { Gauge, type Registry } from "prom-client";

/** When the certificates end that everyone depends on: an alert on these is the first sign of a renewal that fails. */
export function certificateGauges(
  registry: Registry,
  ends: () => { readonly server: Instant; readonly ca: Instant },
): void {
  new Gauge({
    name: "nixwave_certificate_expires_timestamp_seconds",
    help: "When a certificate ends, as seconds since the epoch",
    labelNames: ["certificate"],
    registers: [registry],
    collect() {
      const { server, ca } = ends();
      this.set({ certificate: "server" }, server / 1000);
      this.set({ certificate: "ca" }, ca / 1000);
    },
  });
}
