import type { KeyObject } from "node:crypto";
import type { HostName, Instant, Sha256 } from "@nixwave/effects";
import { z } from "zod";
import { sha256 } from "../hash.ts";
import { hostName } from "../ids.ts";
import { formatInstant, instantText } from "../time.ts";
import { toBase64 } from "./base64.ts";
import { signWith } from "./signature.ts";
import { armouredSshSignature, ENROL_NAMESPACE, makeSshSignature } from "./sshSignature.ts";

/** Letters, digits, dots, dashes, _ and colons: it stands on a line of its own in what is signed. */
const CP_NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$/;
export const isControlPlaneName = (text: string): boolean => CP_NAME.test(text);

/** Base64 of a request is below 1.5 KiB, with a name of 253 characters. */
const CSR_LENGTH_MAX = 4096;
const PROOF_LENGTH_MAX = 4096;

const text = (max: number, what: string) =>
  z
    .string({ error: `expected ${what}` })
    .max(max, { error: `expected ${what}, of at most ${max} characters` });

const proof = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("ssh"),
    signature: text(PROOF_LENGTH_MAX, "an armoured SSH signature"),
  }),
  z.object({ kind: z.literal("token"), token: text(PROOF_LENGTH_MAX, "a join token") }),
  z.object({
    kind: z.literal("previous"),
    signature: text(PROOF_LENGTH_MAX, "a signature in base64"),
  }),
]);

/** What an agent sends to get its first certificate, or the next after the last one ended. */
export const enrolmentRequestSchema = z.object({
  controlPlane: z
    .string()
    .max(253)
    .refine(isControlPlaneName, { error: "expected the control plane's name" }),
  host: hostName,
  requestedAt: instantText,
  /** PKCS#10 in DER, base64. */
  csr: text(CSR_LENGTH_MAX, "a certificate request in base64"),
  proof,
});

/** What an agent sends over its present certificate's connection to get the next one. */
export const renewalRequestSchema = enrolmentRequestSchema.pick({ csr: true });

/** PEM of one certificate is below 4 KiB, whatever its names and key. */
const PEM_LENGTH_MAX = 8192;
/** What enrolment and renewal answer: the host's certificate and the CA's that issued it, both in PEM. */
export const enrolledSchema = z.object({
  certificate: z.string().max(PEM_LENGTH_MAX),
  authority: z.string().max(PEM_LENGTH_MAX),
});
export type Enrolled = z.output<typeof enrolledSchema>;
export type EnrolmentRequest = z.output<typeof enrolmentRequestSchema>;
export type EnrolmentProof = EnrolmentRequest["proof"];

/** A request without its proof. */
export type EnrolmentStatement = Omit<EnrolmentRequest, "proof">;

/**
 * What the proofs `ssh` and `previous` sign: lines, so that a person can read and `ssh-keygen -Y sign` can sign them. No field can hold a
 * line end, and the kind of proof is among them, so that no signature counts for another kind.
 */
export function enrolmentBytes(
  { controlPlane, host, requestedAt, csr }: EnrolmentStatement,
  kind: EnrolmentProof["kind"],
): Uint8Array {
  return Buffer.from(
    [
      "nixwave enrolment 1",
      `control plane ${controlPlane}`,
      `host ${host}`,
      `at ${formatInstant(requestedAt)}`,
      `request ${sha256(csr)}`,
      `proof ${kind}`,
      "",
    ].join("\n"),
  );
}

/**
 * Names one request with its proof: the same digest is the same request, asked again. Whoever alters a signature into another
 * valid one makes another request, that is judged anew.
 */
export function enrolmentDigest(request: EnrolmentRequest): Sha256 {
  const evidence = request.proof.kind === "token" ? request.proof.token : request.proof.signature;
  return sha256(
    Buffer.concat([enrolmentBytes(request, request.proof.kind), Buffer.from(evidence)]),
  );
}

export interface EnrolmentAsk {
  readonly controlPlane: string;
  readonly host: HostName;
  readonly now: Instant;
  /** PKCS#10 in DER. */
  readonly csr: Uint8Array;
}

const statementOf = ({ controlPlane, host, now, csr }: EnrolmentAsk): EnrolmentStatement => ({
  controlPlane,
  host,
  requestedAt: now,
  csr: toBase64(csr),
});

/** The request of a host whose SSH host key the release declares. */
export function enrolWithSshKey(ask: EnrolmentAsk, privateKey: KeyObject): EnrolmentRequest {
  const statement = statementOf(ask);
  const message = enrolmentBytes(statement, "ssh");
  const signature = makeSshSignature({ privateKey, namespace: ENROL_NAMESPACE, message });
  return { ...statement, proof: { kind: "ssh", signature: armouredSshSignature(signature) } };
}

export const enrolWithToken = (ask: EnrolmentAsk, token: string): EnrolmentRequest => ({
  ...statementOf(ask),
  proof: { kind: "token", token },
});

/** The request of a host that was away until its certificate ended: signed with that certificate's key. */
export function enrolWithPrevious(ask: EnrolmentAsk, privateKey: KeyObject): EnrolmentRequest {
  const statement = statementOf(ask);
  const signature = toBase64(signWith(privateKey, enrolmentBytes(statement, "previous")));
  return { ...statement, proof: { kind: "previous", signature } };
}
