import { err, type HostName, type JournalId, ok, type Result } from "@nixwave/effects";
import {
  type Authority,
  type Certificate,
  client,
  type Enrolled,
  HEADER,
  issuedAt,
  PROBLEMS,
  type Problem,
  principalOf,
  publicHalf,
  readCertificatePem,
  sameKey,
  type Unreachable,
} from "@nixwave/protocol";
import type { Connection, Http } from "../ports.ts";
import type { KeptRequest } from "./request.ts";

/** What came of one request for a certificate. */
export type CertificateAnswer =
  | { readonly kind: "issued"; readonly certificate: Certificate }
  | { readonly kind: "refused"; readonly code: string; readonly sentence: string }
  | {
      readonly kind: "unanswered";
      readonly code: string;
      readonly sentence: string;
      readonly retryAfterSecs: number | null;
    };

/** A certificate takes a signature, or a command's time. */
const ANSWER_WITHIN_MS = 60_000;
const ANSWER_BYTES_MAX = 64 * 1024;

export interface AskParts {
  readonly url: string;
  readonly host: HostName;
  readonly authorities: readonly Authority[];
  readonly connection: Connection;
  readonly journalId: (() => JournalId) | null;
  readonly signal: AbortSignal;
}

/** Sends one request. Never rejects. */
export async function askForCertificate(
  request: KeptRequest,
  parts: AskParts,
): Promise<CertificateAnswer> {
  const answer = await send(request, parts);
  if (!answer.ok) return unanswered(answer.error);
  const certificate = certificateFor(answer.value, request, parts);
  if (certificate.ok) return { kind: "issued", certificate: certificate.value };
  // Not a refusal: a CP that answers with another's certificate is broken, and may be mended.
  const sentence = `${parts.url} answered with a certificate that can't be used: ${certificate.error}`;
  return { kind: "unanswered", code: "wrong-certificate", sentence, retryAfterSecs: null };
}

function send(request: KeptRequest, { url, connection, journalId, signal }: AskParts) {
  const clientOf = (http: Http, headers: Readonly<Record<string, string>>) =>
    client(
      url,
      ({ signal: own, ...rest }) =>
        http.request({
          ...rest,
          timeoutMs: ANSWER_WITHIN_MS,
          answerBytesMax: ANSWER_BYTES_MAX,
          ...(own === null ? {} : { signal: own }),
        }),
      () => headers,
    );
  switch (request.kind) {
    case "enrolment":
      return clientOf(connection.anonymous, {}).call("enroll", { body: request.request, signal });
    case "renewal": {
      const journal = journalId === null ? {} : { [HEADER.journal]: journalId() };
      const body = { csr: request.csr };
      return clientOf(connection.http, journal).call("renewCertificate", { body, signal });
    }
  }
}

function unanswered(error: Problem | Unreachable): CertificateAnswer {
  const { code, detail: sentence } = error;
  if (code === "unreachable") return { kind: "unanswered", code, sentence, retryAfterSecs: null };
  if (PROBLEMS[code].retryable)
    return { kind: "unanswered", code, sentence, retryAfterSecs: error.retryAfterSecs };
  return { kind: "refused", ...refusalOf(code, sentence) };
}

/** The CP names what it has refused an enrolment for before its sentence: `unknown-host: web-9 is not in …`. */
function refusalOf(code: string, detail: string): { code: string; sentence: string } {
  const [, reason, sentence] = /^([a-z]+(?:-[a-z]+)*): ([\s\S]+)$/.exec(detail) ?? [];
  if (code !== "enrolment-refused" || reason === undefined || sentence === undefined)
    return { code, sentence: detail };
  return { code: reason, sentence };
}

/** Whether the answer is what was asked for: this host's name, this key, the pinned CA. The error is a sentence. */
function certificateFor(
  answer: Enrolled,
  request: KeptRequest,
  { host, authorities }: AskParts,
): Result<Certificate, string> {
  const read = readCertificatePem(answer.certificate);
  if (!read.ok) return read;
  const certificate = read.value;
  // This host's clock may be the wrong one: the certificate is judged as of when it was made.
  const known = principalOf(certificate.der, authorities, issuedAt(certificate));
  if (!known.ok) return err(known.error.sentence);
  const { principal } = known.value;
  if (principal.kind !== "host" || principal.name !== host)
    return err(`It is one of the ${principal.kind} ${principal.name}, not of the host ${host}.`);
  if (!sameKey(certificate.key, publicHalf(request.key)))
    return err("It names another key than the one that was asked for.");
  return ok(certificate);
}
