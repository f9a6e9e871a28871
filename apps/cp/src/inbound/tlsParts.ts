import type { Sha256 } from "@nixwave/effects";
import { isRevoked } from "@nixwave/protocol";
import type { Registry } from "prom-client";
import type { Submit } from "../command.ts";
import type { FleetFacts, FleetTrust } from "../fleetTrust.ts";
import { certificateGauges } from "../perform/certificateMetrics.ts";
import { openOperators } from "../store/operators.ts";
import { type EnrolmentHandlers, enrolmentHandlers } from "./enrolmentHandlers.ts";
import { OperatorConnections } from "./operatorConnections.ts";
import type { Door } from "./principal.ts";
import { tlsDoor } from "./tlsDoor.ts";
import type { TlsListener } from "./tlsListener.ts";
import type { WorldPorts } from "./world.ts";

/** A token's last use is for a person who tidies up: to the minute is enough. */
const USED_EVERY_MS = 60_000;

interface Around extends WorldPorts {
  readonly submit: Submit;
  /** Path of the database: who may act is read from it, over a connection of its own. */
  readonly database: string;
  readonly registry: Registry;
  readonly fleetTrust: FleetTrust;
}

/** What serves over TLS: who comes in, how hosts enrol, and what is said of the certificates. */
export interface TlsParts {
  readonly door: Door;
  readonly enrolment: EnrolmentHandlers;
  /** What keeps the certificates from holding: one sentence, or null. */
  readonly problem: () => string | null;
  readonly close: () => void;
}

export function tlsParts(listener: TlsListener, around: Around): TlsParts {
  const { fleetTrust, registry, clock } = around;
  const { connections, issuer, serving } = listener;
  const { name, allowTokenAdmin } = listener.config;
  const operators = openOperators(around.database);
  const operatorConnections = new OperatorConnections(around);
  const { authority } = issuer;
  certificateGauges(registry, () => ({ server: serving.current.notAfter, ca: authority.notAfter }));
  // Who is revoked loses what is open too; the next request would be refused, but a parked poll makes none for minutes.
  const cut = ({ revocations }: FleetFacts): void =>
    connections.cut(({ host, certificate }) =>
      isRevoked(revocations.get(host) ?? null, certificate),
    );
  const unlisten = fleetTrust.onChange(cut);
  const known = fleetTrust.facts();
  if (known !== null) cut(known);
  return {
    door: tlsDoor({
      connections,
      fleetTrust,
      clock,
      operators,
      operatorConnections,
      tokenUsed: tokenUses(around.submit),
      allowTokenAdmin,
    }),
    enrolment: enrolmentHandlers({ ...around, issuer, name }),
    close: () => {
      serving.stop();
      unlisten();
      operatorConnections.stop();
      operators.close();
    },
    problem: () => {
      const now = clock.now();
      if (now > authority.notAfter)
        return "The CA's certificate has ended: make a new one, and give it to agents and operators.";
      return now > serving.current.notAfter
        ? "The server's certificate has ended and could not be renewed: the log says why."
        : null;
    },
  };
}

/** Written with the writer's next batch; nobody waits for it. */
function tokenUses(submit: Submit): (hash: Sha256, now: number) => void {
  const said = new Map<Sha256, number>();
  return (hash, now) => {
    if (now - (said.get(hash) ?? 0) < USED_EVERY_MS) return;
    said.set(hash, now);
    void submit<"TokenUsed">({ kind: "TokenUsed", hash });
  };
}
