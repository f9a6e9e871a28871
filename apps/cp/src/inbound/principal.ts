import type { IncomingHttpHeaders } from "node:http";
import { type HostName, type JournalId, parseJournalId } from "@nixwave/effects";
import { HEADER, PROTOCOL_MAJOR, type Role, roleAllows } from "@nixwave/protocol";
import type { FastifyRequest } from "fastify";
import { ProblemError } from "./problemError.ts";

/** Who makes a request; every handler gets one, and none takes a name from a body. */
export type Principal =
  | { readonly kind: "host"; readonly name: HostName; readonly role: null }
  /** `shortfall`: why the role is less than what was once given, and what to do. */
  | {
      readonly kind: "operator";
      readonly name: string;
      readonly role: Role;
      readonly shortfall: string | null;
    };

/** An agent, with the journal that it writes. `gone` aborts when its connection closes. */
export interface AgentCaller {
  readonly principal: Extract<Principal, { kind: "host" }>;
  readonly journalId: JournalId;
  readonly gone: AbortSignal;
}
export interface OperatorCaller {
  readonly principal: Extract<Principal, { kind: "operator" }>;
}
export interface PublicCaller {
  readonly principal: null;
  /** Where the connection comes from: what strangers may ask is counted by it. */
  readonly address: string;
}

/** Who may come in, and who they are: by certificate and token, or by headers on the plain loopback. */
export interface Door {
  /** Throws for a request that is not even asked who makes it. */
  readonly refuse: (request: FastifyRequest) => void;
  /** Null where nobody is named. Throws where somebody is named in a way that does not hold. */
  readonly principal: (request: FastifyRequest) => Principal | null;
  /** What to say to nobody: one sentence with what to do. */
  readonly agentHint: string;
  readonly operatorHint: string;
}

export function refuseOtherProtocols(headers: IncomingHttpHeaders): void {
  const version = headers[HEADER.protocol];
  if (version === String(PROTOCOL_MAJOR)) return;
  const got = version === undefined ? "none" : JSON.stringify(version);
  throw ProblemError.of(
    "old-protocol",
    `Nixwave-Protocol: expected ${PROTOCOL_MAJOR}, got ${got}. Install a release of nixwave that speaks protocol ${PROTOCOL_MAJOR}.`,
  );
}

export function admitAgent(door: Door, request: FastifyRequest, gone: AbortSignal): AgentCaller {
  const principal = door.principal(request);
  if (principal === null) throw ProblemError.of("unauthenticated", door.agentHint);
  if (principal.kind !== "host") {
    throw ProblemError.of("forbidden", "This route is for agents; an operator can't use it.");
  }
  const journal = request.headers[HEADER.journal];
  if (journal === undefined) {
    throw ProblemError.of(
      "bad-request",
      "The header Nixwave-Journal is missing: add the journal's id.",
    );
  }
  const journalId = parseJournalId(String(journal));
  if (!journalId.ok) {
    throw ProblemError.of("bad-request", `Nixwave-Journal: expected ${journalId.error.expected}.`);
  }
  return { principal, journalId: journalId.value, gone };
}

export function admitOperator(door: Door, request: FastifyRequest, needs: Role): OperatorCaller {
  const principal = door.principal(request);
  if (principal === null) throw ProblemError.of("unauthenticated", door.operatorHint);
  if (principal.kind !== "operator") {
    throw ProblemError.of("forbidden", "This route is for operators; an agent can't use it.");
  }
  if (!roleAllows(principal.role, needs)) {
    throw ProblemError.of(
      "forbidden",
      `This needs the role ${needs}, and ${principal.name} has the role ${principal.role}. ${principal.shortfall ?? `Ask an ${needs}.`}`,
    );
  }
  return { principal };
}
