import { addSecs, type HostName } from "@nixwave/effects";
import type { Submit } from "../command.ts";
import type { FleetFacts, FleetTrust } from "../fleetTrust.ts";
import type { Clock, Timer } from "../ports.ts";

/** After a writer that could not store it. Nobody revoked is served meanwhile: the door reads the signed list itself. */
const TRY_AGAIN_SECS = 5;

/** Hosts that are revoked altogether; of a re-imaged machine only the certificates from before are, and the host goes on. */
const revokedIn = ({ revocations }: FleetFacts): readonly HostName[] =>
  [...revocations].flatMap(([host, { before }]) => (before === null ? [host] : [])).sort();

interface Ports {
  readonly submit: Submit;
  readonly clock: Clock;
  readonly timer: Timer;
}

/** Tells the writer whom the signed list revokes, so that no plan waits for them; the answer ends it. */
export function followRevocations(fleetTrust: FleetTrust, ports: Ports): () => void {
  const { submit, clock, timer } = ports;
  let told: string | null = null;
  let stopped = false;
  let cancel = (): void => undefined;
  const tell = (facts: FleetFacts): void => {
    const revoked = revokedIn(facts);
    const text = revoked.join();
    if (text === told) return;
    told = text;
    cancel();
    void submit<"HostRevocation">({ kind: "HostRevocation", revoked }).then(({ kind }) => {
      if (kind !== "not-now" || stopped || told !== text) return;
      told = null;
      cancel = timer.at(addSecs(clock.now(), TRY_AGAIN_SECS), () => {
        const latest = fleetTrust.facts();
        if (latest !== null) tell(latest);
      });
    });
  };
  const unlisten = fleetTrust.onChange(tell);
  const known = fleetTrust.facts();
  if (known !== null) tell(known);
  return () => {
    stopped = true;
    cancel();
    unlisten();
  };
}
