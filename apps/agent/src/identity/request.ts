import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { err, type HostName, type Instant, ok, type Result } from "@nixwave/effects";
import {
  type EnrolmentAsk,
  type EnrolmentRequest,
  enrolWithPrevious,
  enrolWithSshKey,
  enrolWithToken,
  makeCertificateRequest,
} from "@nixwave/protocol";
import type { Disk } from "../ports.ts";
import { type EnrolBy, readHostKey, readToken } from "./evidence.ts";
import type { Proof } from "./state.ts";

/** A request for a certificate, with the key that the certificate is to name. Kept from before it is sent until it is answered. */
export type KeptRequest = { readonly key: KeyObject } & (
  | {
      readonly kind: "enrolment";
      readonly proof: Exclude<Proof, "renewal">;
      readonly request: EnrolmentRequest;
    }
  | {
      readonly kind: "renewal";
      readonly proof: "renewal";
      /** PKCS#10 in DER, base64. */
      readonly csr: string;
    }
);

export interface Asker {
  readonly host: HostName;
  /** The name that the CP knows itself by: a signed request counts for no other. */
  readonly controlPlaneName: string;
  readonly enrolBy: EnrolBy;
  readonly disk: Pick<Disk, "readText">;
}

/** What a request may be made from. */
export interface OwnKeys {
  readonly held: KeyObject | null;
  readonly unheard: KeyObject | null;
  readonly kept: KeptRequest | null;
}

export interface Made {
  readonly request: KeptRequest;
  /** It was made before, and may have been answered without our hearing of it. */
  readonly isAgain: boolean;
}

type Evidence =
  | { readonly proof: "ssh" | "previous" | "unheard"; readonly key: KeyObject }
  | { readonly proof: "token"; readonly token: string }
  | { readonly proof: "renewal" };

/**
 * The request that is kept for this proof, or a new one with a key of its own. The error is a sentence: why none can be made here.
 * With a join token the kept one stays the one as long as the token is the same: a token is good for one request.
 */
export async function requestFor(
  proof: Proof,
  asker: Asker,
  keys: OwnKeys,
  now: Instant,
): Promise<Result<Made, string>> {
  const { kept } = keys;
  const evidence = evidenceFor(proof, asker, keys);
  if (kept?.proof === proof && !isOtherToken(kept, evidence))
    return ok({ request: kept, isAgain: true });
  if (!evidence.ok) return evidence;
  const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { host, controlPlaneName: controlPlane } = asker;
  const csr = await makeCertificateRequest({ name: host, privateKey: key });
  const request = keptOf({ controlPlane, host, now, csr }, key, evidence.value);
  return ok({ request, isAgain: false });
}

const isOtherToken = (kept: KeptRequest, evidence: Result<Evidence, string>): boolean =>
  kept.kind === "enrolment" &&
  kept.request.proof.kind === "token" &&
  evidence.ok &&
  evidence.value.proof === "token" &&
  evidence.value.token !== kept.request.proof.token;

function keptOf(ask: EnrolmentAsk, key: KeyObject, evidence: Evidence): KeptRequest {
  const { proof } = evidence;
  switch (proof) {
    case "renewal":
      return { kind: "renewal", proof, key, csr: Buffer.from(ask.csr).toString("base64") };
    case "ssh":
      return { kind: "enrolment", proof, key, request: enrolWithSshKey(ask, evidence.key) };
    case "token":
      return { kind: "enrolment", proof, key, request: enrolWithToken(ask, evidence.token) };
    case "previous":
    case "unheard":
      return { kind: "enrolment", proof, key, request: enrolWithPrevious(ask, evidence.key) };
  }
}

function evidenceFor(
  proof: Proof,
  { enrolBy, disk }: Asker,
  { held, unheard }: OwnKeys,
): Result<Evidence, string> {
  switch (proof) {
    case "renewal":
      return ok({ proof });
    case "previous":
      return held === null ? err("there is no certificate to ask with") : ok({ proof, key: held });
    case "unheard":
      return unheard === null
        ? err("there is no key of an earlier request")
        : ok({ proof, key: unheard });
    case "ssh": {
      const key = readHostKey(enrolBy.path, disk);
      return key.ok ? ok({ proof, key: key.value }) : key;
    }
    case "token": {
      const token = readToken(enrolBy.path, disk);
      return token.ok ? ok({ proof, token: token.value }) : token;
    }
  }
}

/** Reads a private key that this agent has written. Null where the text is none. */
export function privateKeyOf(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}
