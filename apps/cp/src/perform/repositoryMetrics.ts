import { secsBetween } from "@nixwave/effects";
import { Gauge, type Registry } from "prom-client";
import type { Clock } from "../ports.ts";
import type { RepositoryHealth } from "../views/repositoryStatus.ts";

/** Read at each scrape. A role is one of TUF's four or a channel: never a host. */
export function repositoryGauges(
  register: Registry,
  { repository, clock }: { readonly repository: RepositoryHealth; readonly clock: Clock },
): void {
  const registers = [register];
  new Gauge({
    name: "nixwave_metadata_expires_seconds",
    help: "Time until the role's metadata is no longer valid; negative once it is not",
    labelNames: ["role"],
    registers,
    collect() {
      this.reset();
      for (const { role, expiresAt } of repository.expiries)
        this.set({ role }, secsBetween(clock.now(), expiresAt));
    },
  });
  new Gauge({
    name: "nixwave_repository_problem",
    help: "1 while the repository as a whole can't be read or trusted; the attack or fault is in the label",
    labelNames: ["code"],
    registers,
    collect() {
      this.reset();
      if (repository.problem !== null) this.set({ code: repository.problem.code }, 1);
    },
  });
}
