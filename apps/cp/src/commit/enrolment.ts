import { invariant, type Result } from "@nixwave/effects";
import {
  type EnrolmentFacts,
  type EnrolmentRefusal,
  type EnrolmentVerdict,
  type IssuedCertificate,
  judgeEnrolment,
  judgeRenewal,
  readCertificate,
} from "@nixwave/protocol";
import type {
  CertificateAsk,
  CommitCertificate,
  Issued,
  Refused,
  ReserveCertificate,
  Reserved,
  SignedFacts,
} from "../command.ts";
import type { StoredCertificate } from "../store/identity.ts";
import type { Draft } from "./draft.ts";

/** Judges a request and reserves its nonce: from this commit on no other request is given a certificate for it. */
export function decideReservation(draft: Draft, command: ReserveCertificate): Reserved | Refused {
  const verdict = judge(draft, command);
  if (!verdict.ok) return refused(verdict.error);
  const { value } = verdict;
  if (value.kind === "again" || value.nonce === null) return value;
  const { nonces } = draft.memory.identity;
  const { host, requestDigest } = value;
  const { value: nonce, expiresAt } = value.nonce;
  // Reserved by this very request before a crash, or by its twin that is being signed now.
  if (nonces.has(nonce)) return value;
  const reserved = { nonce, host, requestDigest, expiresAt, isAnswered: false };
  nonces.set(nonce, reserved);
  draft.observe({ kind: "NonceReserved", nonce: reserved });
  return value;
}

/** Remembers a certificate that was signed, in one transaction with its nonce and its line in the log. */
export function decideIssued(draft: Draft, command: CommitCertificate): Issued | Refused {
  const verdict = judge(draft, command);
  if (!verdict.ok) return refused(verdict.error);
  if (verdict.value.kind === "again") return verdict.value;
  const { identity } = draft.memory;
  const { host, requestDigest, requestedAt, nonce } = verdict.value;
  const { certificate } = command;
  const { der, serial, notAfter } = certificate;
  const stored = { host, serial, der, requestDigest, requestedAt, issuedAt: draft.now, notAfter };
  identity.lastIssued.set(host, stored);
  const reserved = nonce === null ? undefined : identity.nonces.get(nonce.value);
  if (reserved !== undefined)
    identity.nonces.set(reserved.nonce, { ...reserved, isAnswered: true });
  draft.observe({
    kind: "CertificateIssued",
    certificate: stored,
    nonce: reserved?.nonce ?? null,
  });
  const by = provenBy(command.ask);
  draft.append({ kind: "Enrolled", host, by });
  draft.log("info", "certificate issued", [
    ["host", host],
    ["by", by],
    ["serial", serial],
  ]);
  return { kind: "again", certificate };
}

const provenBy = (ask: CertificateAsk): string =>
  ask.kind === "renewal" ? "renewal" : ask.request.proof.kind;

interface Asked {
  readonly ask: CertificateAsk;
  readonly facts: SignedFacts;
}

function judge(
  { memory, now }: Draft,
  { ask, facts: signed }: Asked,
): Result<EnrolmentVerdict, EnrolmentRefusal> {
  const { identity } = memory;
  const host = ask.kind === "renewal" ? ask.host : ask.request.host;
  const facts: EnrolmentFacts = {
    ...signed,
    lastIssued: issuedTo(identity.lastIssued.get(host)),
    nonces: identity.nonces,
    noncesSince: identity.noncesSince,
  };
  return ask.kind === "renewal"
    ? judgeRenewal(ask, facts, now)
    : judgeEnrolment(ask.request, facts, now);
}

function issuedTo(stored: StoredCertificate | undefined): IssuedCertificate | null {
  if (stored === undefined) return null;
  const read = readCertificate(stored.der);
  invariant(read.ok, `the certificate ${stored.serial} of ${stored.host} was made here`);
  const { requestDigest, requestedAt } = stored;
  return { certificate: read.value, requestDigest, requestedAt };
}

/** A refused request is its sender's trouble: he is told the code and the sentence, and the log keeps it. */
const refused = ({ code, sentence }: EnrolmentRefusal): Refused => ({
  kind: "refused",
  code: "enrolment-refused",
  sentence: `${code}: ${sentence}`,
});
