import type { IncomingHttpHeaders } from "node:http";
import { parseHostName } from "@nixwave/effects";
import { HEADER, isOperatorName } from "@nixwave/protocol";
import type { FastifyRequest } from "fastify";
import { isLoopback } from "../config.ts";
import type { Door, Principal } from "./principal.ts";
import { ProblemError } from "./problemError.ts";

const HOST_IN_URL = /^(?:\[(?<six>[^\]]+)\]|(?<four>[^:]+))(?::\d+)?$/;

/**
 * A page that a browser on this machine shows can have its own name resolve to the loopback, and would then be one
 * origin with us, free to set our headers. Its requests name that other host here.
 */
function refuseForeignName(headers: IncomingHttpHeaders): void {
  const groups = HOST_IN_URL.exec(headers.host ?? "")?.groups;
  const name = groups?.["six"] ?? groups?.["four"] ?? "";
  if (name === "localhost" || isLoopback(name)) return;
  throw ProblemError.of(
    "forbidden",
    `The header Host names ${JSON.stringify(name)}; without TLS only 127.0.0.1, [::1] and localhost are served. Use one of these.`,
  );
}

/** A name that is none, or two names, is refused rather than passed over. */
function principalOf({ headers }: FastifyRequest): Principal | null {
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
  if (isOperatorName(name)) return { kind: "operator", name, role: "admin", shortfall: null };
  throw ProblemError.of(
    "unauthenticated",
    "Nixwave-Operator: expected 1 to 64 letters, digits, dots, dashes, _ or @, such as ops-2.",
  );
}

/** Without TLS, on the loopback only: a header says who calls, and whoever is on this machine is believed. */
export const LOOPBACK_DOOR: Door = {
  refuse: ({ headers }) => refuseForeignName(headers),
  principal: principalOf,
  agentHint: "The header Nixwave-Host is missing: add it with this host's name.",
  operatorHint: "The header Nixwave-Operator is missing: add it with your name.",
};
