import { type Instant, invariant } from "@nixwave/effects";
import { type Certificate, type EnrolmentProof, renewAt } from "@nixwave/protocol";

/**
 * How a certificate is asked for: one of the three proofs of an enrolment; or over a connection that the present certificate opened; or
 * signed, as `previous` is, with the key of a request whose answer was never heard: the CP may have issued for it.
 */
export type Proof = EnrolmentProof["kind"] | "renewal" | "unheard";

/** The last request for a certificate that did not bring one. */
export type Setback = {
  readonly proof: Proof;
  readonly code: string;
  /** For people: what was expected, and what to do. */
  readonly sentence: string;
  /** Not asked again before. */
  readonly retryAt: Instant;
} & (
  | { readonly kind: "refused" }
  /** No answer, or one that asks to come back: the same request is sent again. */
  | { readonly kind: "unanswered" }
);

/** All that is known of this host's identity. */
export interface Identity {
  /** As configured: what the first certificate is asked for with. */
  readonly enrolBy: "ssh" | "token";
  readonly held: Certificate | null;
  /** The CP answered that it knows nobody by the certificate that is held. */
  readonly isDisowned: boolean;
  /** The request that is kept until it is answered, by its proof. */
  readonly kept: Proof | null;
  /** Whether there is a key for the proof `unheard`. */
  readonly hasUnheard: boolean;
  /** Whether what is due is asked for: a renewal needs an agent that runs. */
  readonly renews: boolean;
  readonly setback: Setback | null;
}

/** One variant per state: what `status` shows. */
export type IdentityState =
  | { readonly kind: "None" }
  /** A request without which there is no certificate is under way. */
  | { readonly kind: "Enrolling"; readonly proof: Proof }
  | { readonly kind: "Valid"; readonly certificate: Certificate }
  /** It holds, and half of its life is over. */
  | { readonly kind: "Due"; readonly certificate: Certificate }
  /** It is still shown: it is the CP that decides, and this host's clock may be the wrong one. */
  | {
      readonly kind: "Expired";
      readonly certificate: Certificate;
      readonly by: "time" | "control-plane";
    }
  | {
      readonly kind: "Refused";
      readonly certificate: Certificate | null;
      readonly refusal: Setback;
    };

type IdentityStep =
  | { readonly kind: "Wait"; readonly until: Instant }
  | { readonly kind: "Ask"; readonly proof: Proof };

export interface IdentityDecision {
  readonly state: IdentityState;
  readonly step: IdentityStep;
}

type Standing = Extract<IdentityState, { kind: "None" | "Valid" | "Due" | "Expired" }>;

/** What is to be done about this host's identity. `now` is the wall clock's: that is what TLS goes by. */
export function decideIdentity(identity: Identity, now: Instant): IdentityDecision {
  const standing = standingOf(identity, now);
  if (standing.kind === "Valid") {
    return { state: standing, step: { kind: "Wait", until: renewAt(standing.certificate) } };
  }
  if (standing.kind === "Due" && !identity.renews) {
    return { state: standing, step: { kind: "Wait", until: standing.certificate.notAfter } };
  }
  const proofs = proofsFor(standing, identity);
  const { setback } = identity;
  // A proof that no longer fits the standing says nothing about those that do.
  const tried = setback === null ? -1 : proofs.indexOf(setback.proof);
  if (setback === null || tried === -1) return asking(standing, firstOf(proofs), identity);
  if (setback.kind === "unanswered") {
    const state = underWay(standing, setback.proof);
    if (isEarly(setback, now)) return { state, step: { kind: "Wait", until: setback.retryAt } };
    return asking(standing, setback.proof, identity);
  }
  const next = proofs[tried + 1];
  if (next !== undefined) return asking(standing, next, identity);
  const { held: certificate } = identity;
  const state = { kind: "Refused", certificate, refusal: setback } as const;
  if (isEarly(setback, now)) return { state, step: { kind: "Wait", until: setback.retryAt } };
  return { state, step: { kind: "Ask", proof: firstOf(proofs) } };
}

/** Longer than any pause between two requests: a clock that was set back must not make one of it. */
const RETRY_WITHIN_MS = 15 * 60 * 1000;

const isEarly = ({ retryAt }: Setback, now: Instant): boolean =>
  now < retryAt && retryAt - now < RETRY_WITHIN_MS;

function standingOf({ held, isDisowned }: Identity, now: Instant): Standing {
  if (held === null) return { kind: "None" };
  if (isDisowned) return { kind: "Expired", certificate: held, by: "control-plane" };
  if (now > held.notAfter) return { kind: "Expired", certificate: held, by: "time" };
  return { kind: now < renewAt(held) ? "Valid" : "Due", certificate: held };
}

/** In the order in which they are tried. A CP that forgot this host knows no previous certificate, and the first proof again. */
function proofsFor(standing: Standing, { enrolBy, hasUnheard }: Identity): readonly Proof[] {
  const unheard: readonly Proof[] = hasUnheard ? ["unheard"] : [];
  switch (standing.kind) {
    case "None":
      return [enrolBy, ...unheard];
    case "Valid":
      return [];
    case "Due":
      return ["renewal", enrolBy];
    case "Expired":
      return ["previous", ...unheard, enrolBy];
  }
}

const firstOf = (proofs: readonly Proof[]): Proof => {
  const [first] = proofs;
  invariant(first !== undefined, "whatever is not valid can be asked for");
  return first;
};

function asking(standing: Standing, proof: Proof, { kept }: Identity): IdentityDecision {
  const state = kept === proof ? underWay(standing, proof) : standing;
  return { state, step: { kind: "Ask", proof } };
}

const underWay = (standing: Standing, proof: Proof): IdentityState =>
  standing.kind === "None" ? { kind: "Enrolling", proof } : standing;
