import {
  addSecs,
  type HostName,
  type Instant,
  ok,
  type Result,
  type Sha256,
} from "@nixwave/effects";
import { formatInstant } from "../time.ts";
import { fromBase64 } from "./base64.ts";
import { type EnrolmentFacts, type EnrolmentRefusal, isRevoked } from "./enrolmentFacts.ts";
import { type EnrolmentRequest, enrolmentBytes } from "./enrolmentRequest.ts";
import { checkJoinToken } from "./joinToken.ts";
import { reading, refuse } from "./malformed.ts";
import { type PublicKey, thumbprint } from "./publicKey.ts";
import { isSignedBy } from "./signature.ts";
import { parseSshPublicKey } from "./sshKey.ts";
import { checkSshSignature, ENROL_NAMESPACE, parseArmouredSshSignature } from "./sshSignature.ts";

/** The clocks of a host that enrols and of the CP may differ by this, either way (hazard 81). */
export const ENROLMENT_WINDOW_SECS = 10 * 60;

export interface Judging {
  readonly facts: EnrolmentFacts;
  /** The key that the certificate is to name. */
  readonly key: PublicKey;
  readonly requestDigest: Sha256;
  readonly now: Instant;
}

/** The nonce to be used up, where the proof has one. */
type Proven = Result<
  { readonly value: string; readonly expiresAt: Instant } | null,
  EnrolmentRefusal
>;

/** Whether the proof holds: for this host, this key, now. */
export function judgeProof(request: EnrolmentRequest, judging: Judging): Proven {
  const { proof } = request;
  if (proof.kind === "token") return judgeToken(request.host, proof.token, judging);
  const timely = checkTime(request, judging);
  if (!timely.ok) return timely;
  return proof.kind === "ssh"
    ? judgeSsh(request, proof.signature, judging)
    : judgePrevious(request, proof.signature, judging);
}

function checkTime(
  { host, requestedAt }: EnrolmentRequest,
  { facts, now }: Judging,
): Result<null, EnrolmentRefusal> {
  const clocks = `The request is dated ${formatInstant(requestedAt)}, and it is ${formatInstant(now)}: set ${host}'s clock, or the control plane's.`;
  if (requestedAt > addSecs(now, ENROLMENT_WINDOW_SECS)) return refuse("future-dated", clocks);
  if (requestedAt < now - ENROLMENT_WINDOW_SECS * 1000) return refuse("expired", clocks);
  // An older request, kept by somebody, would make an older key the host's last.
  if (requestedAt > (facts.lastIssued?.requestedAt ?? -1)) return ok(null);
  return refuse(
    "replayed-request",
    `${host} has made a later request than the one of ${formatInstant(requestedAt)}: make a new one.`,
  );
}

function judgeSsh(request: EnrolmentRequest, signature: string, { facts }: Judging): Proven {
  const declared = facts.declared?.sshHostKey ?? null;
  if (declared === null) {
    return refuse(
      "no-host-key",
      `fleet/hosts.json declares no SSH host key for ${request.host}: declare one, or enrol with a join token.`,
    );
  }
  const key = parseSshPublicKey(declared);
  if (!key.ok) {
    return refuse(
      "no-host-key",
      `The SSH host key that fleet/hosts.json declares for ${request.host} can't be used: ${key.error}.`,
    );
  }
  const read = parseArmouredSshSignature(signature);
  if (!read.ok) return refuse("malformed-proof", `The SSH signature is refused: ${read.error}.`);
  return checkSshSignature(read.value, {
    key: key.value,
    namespace: ENROL_NAMESPACE,
    message: enrolmentBytes(request, "ssh"),
  });
}

function judgePrevious(request: EnrolmentRequest, text: string, { facts }: Judging): Proven {
  const { lastIssued, revocation } = facts;
  if (lastIssued === null) {
    return refuse(
      "never-enrolled",
      `No certificate of ${request.host} is known here: enrol with its SSH host key or a join token.`,
    );
  }
  if (isRevoked(revocation, lastIssued.certificate)) {
    return refuse(
      "revoked",
      `${request.host}'s last certificate is revoked: enrol with its SSH host key or a join token.`,
    );
  }
  const signature = reading(() => fromBase64(text, "it"));
  if (!signature.ok) {
    return refuse("malformed-proof", `The signature is refused: ${signature.error}.`);
  }
  const message = enrolmentBytes(request, "previous");
  const { key } = lastIssued.certificate;
  if (isSignedBy({ key, signature: signature.value, message })) return ok(null);
  return refuse(
    "key-mismatch",
    `The request is not signed with the key of ${request.host}'s last certificate, serial ${lastIssued.certificate.serial}.`,
  );
}

function judgeToken(host: HostName, text: string, judging: Judging): Proven {
  const { facts, key, requestDigest, now } = judging;
  if ((facts.declared?.sshHostKey ?? null) !== null) {
    return refuse(
      "host-key-declared",
      `fleet/hosts.json declares ${host}'s SSH host key: enrol with that key, or take it out of the declaration.`,
    );
  }
  const { enrolmentKeys: keys, controlPlane } = facts;
  const checked = checkJoinToken(text, { keys, controlPlane, now });
  if (!checked.ok) return checked;
  const token = checked.value;
  if (token.host !== host) {
    return refuse(
      "token-for-another-host",
      `The join token is for ${token.host}, and ${host} asks: make one for ${host}.`,
    );
  }
  if (token.keyThumbprint !== null && token.keyThumbprint !== thumbprint(key)) {
    return refuse(
      "key-mismatch",
      `The join token is for the key with thumbprint ${token.keyThumbprint}, and the request has ${thumbprint(key)}.`,
    );
  }
  const used = facts.nonces.get(token.nonce);
  // Reserved by this very request and not answered: the CP stopped in between, and goes on now.
  if (used !== undefined && (used.isAnswered || used.requestDigest !== requestDigest)) {
    return refuse(
      "replayed-token",
      "The join token was used before, by another request: make another with `nixwave join-token`.",
    );
  }
  if (facts.noncesSince !== null && token.issuedAt < facts.noncesSince) {
    return refuse(
      "token-not-known-unused",
      `The join token was made before ${formatInstant(facts.noncesSince)}, from when on this control plane knows which were used: make another with \`nixwave join-token\`.`,
    );
  }
  return ok({ value: token.nonce, expiresAt: token.expiresAt });
}
