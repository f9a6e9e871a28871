import type { IncomingHttpHeaders } from "node:http";
import { type HostName, type JournalId, parseHostName, parseJournalId } from "@nixwave/effects";
import { HEADER, PROTOCOL_MAJOR, type Role, roleAllows } from "@nixwave/protocol";
import { isLoopback } from "../config.ts";
import { ProblemError } from "./problemError.ts";

/** Who makes a request; every handler gets one, and none takes a name from a body. */
type Principal =
  | { readonly kind: "host"; readonly name: HostName; readonly role: null }
  | { readonly kind: "operator"; readonly name: string; readonly role: Role };

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
}

const OPERATOR_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}$/;

const HOST_IN_URL = /^(?:\[(?<six>[^\]]+)\]|(?<four>[^:]+))(?::\d+)?$/;

/**
 * A page that a browser on this machine shows can have its own name resolve to the loopback, and would then be one
 * origin with us, free to set our headers. Its requests name that other host here.
 */
export function refuseForeignName(headers: IncomingHttpHeaders): void {
  const groups = HOST_IN_URL.exec(headers.host ?? "")?.groups;
  const name = groups?.["six"] ?? groups?.["four"] ?? "";
  if (name === "localhost" || isLoopback(name)) return;
  throw ProblemError.of(
    "forbidden",
    `The header Host names ${JSON.stringify(name)}; without TLS only 127.0.0.1, [::1] and localhost are served. Use one of these.`,
  );
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

/** Null where nobody is named. A name that is none, or two names, is refused rather than passed over. */
function principalOf(headers: IncomingHttpHeaders): Principal | null {
  const host = headers[HEADER.host];
  const operator = headers[HEADER.operator];
  if (host !== undefined && operator !== undefined) {
    throw ProblemError.of(
      "unauthenticated",
      "The request has both Nixwave-Host and Nixwave-Operator: expected one of them.",
    );
  }
  if (host !== undefined) {
    const name = parseHostName(String(host));
    if (name.ok) return { kind: "host", name: name.value, role: null };
    throw ProblemError.of("unauthenticated", `Nixwave-Host: expected ${name.error.expected}.`);
  }
  if (operator === undefined) return null;
  const name = String(operator);
  // On the loopback every operator is an admin.
  if (OPERATOR_NAME.test(name)) return { kind: "operator", name, role: "admin" };
  throw ProblemError.of(
    "unauthenticated",
    "Nixwave-Operator: expected 1 to 64 letters, digits, dots, dashes, _ or @, such as ops-2.",
  );
}

export function admitAgent(headers: IncomingHttpHeaders, gone: AbortSignal): AgentCaller {
  const principal = principalOf(headers);
  if (principal === null) {
    throw ProblemError.of(
      "unauthenticated",
      "The header Nixwave-Host is missing: add it with this host's name.",
    );
  }
  if (principal.kind !== "host") {
    throw ProblemError.of("forbidden", "This route is for agents; an operator can't use it.");
  }
  const journal = headers[HEADER.journal];
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

export function admitOperator(headers: IncomingHttpHeaders, needs: Role): OperatorCaller {
  const principal = principalOf(headers);
  if (principal === null) {
    throw ProblemError.of(
      "unauthenticated",
      "The header Nixwave-Operator is missing: add it with your name.",
    );
  }
  if (principal.kind !== "operator") {
    throw ProblemError.of("forbidden", "This route is for operators; an agent can't use it.");
  }
  if (!roleAllows(principal.role, needs)) {
    throw ProblemError.of(
      "forbidden",
      `This needs the role ${needs}, and ${principal.name} has the role ${principal.role}. Ask an ${needs}.`,
    );
  }
  return { principal };
}
