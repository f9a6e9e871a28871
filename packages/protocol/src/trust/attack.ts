import type { Instant } from "@nixwave/effects";
import type { ReleaseProblem } from "../release.ts";

/** What someone does who can't sign: each code is an attack that was seen, or a fault that looks the same. */
export const ATTACKS = {
  rollback: "an older state was served than the one that was seen before",
  "freeze-expired": "what is served is no longer valid: it was held back, or nobody signed it anew",
  "mix-and-match": "files of different states were served together",
  "threshold-not-met": "fewer keys signed than must",
  "wrong-length-or-hash": "the bytes are not those that were signed",
  "endless-data": "more was sent than any such file may have",
  "unknown-role": "no such role or channel was delegated to",
  "wrong-channel": "a channel's key speaks of what is not its channel's",
} as const satisfies Record<string, string>;
export type AttackCode = keyof typeof ATTACKS;
export const isAttack = (code: string): code is AttackCode => Object.hasOwn(ATTACKS, code);

export interface Expiry {
  /** root, targets, snapshot, timestamp, or a channel. */
  readonly role: string;
  readonly expiresAt: Instant;
  /** For how many days its author makes it valid; null where the file does not say. */
  readonly validDays: number | null;
}

/** Why something can't be trusted: `code` for machines, `reason` a sentence with the file. */
export interface TrustProblem {
  readonly code: AttackCode | ReleaseProblem["code"] | "unreachable" | "no-root" | "future-dated";
  readonly file: string;
  readonly reason: string;
  /** With `freeze-expired` only: it was verified in all but its time. No new activation starts; nothing else stops. */
  readonly expired: Expiry | null;
}

export const trustProblem = (
  code: TrustProblem["code"],
  file: string,
  reason: string,
): TrustProblem => ({ code, file, reason: `${file}: ${reason}`, expired: null });

export function expiredProblem(file: string, expired: Expiry): TrustProblem {
  const at = new Date(expired.expiresAt).toISOString();
  const reason = `${file}: ${expired.role} was valid until ${at}: ${ATTACKS["freeze-expired"]}; run nixwave refresh, or look at the mirror`;
  return { code: "freeze-expired", file, reason, expired };
}

/** Thrown through tuf-js, which takes no other way out, and caught at once behind it. */
export class TrustFailure extends Error {
  override readonly name = "TrustFailure";
  readonly problem: TrustProblem;
  constructor(problem: TrustProblem) {
    super(problem.reason);
    this.problem = problem;
  }
}

/**
 * tuf-js' own errors by their sentences: it wraps what went wrong into the text of another error, so that no class is left to
 * ask. The gate has refused most before; what remains is what only a memory of earlier versions shows.
 */
const SENTENCES: readonly (readonly [RegExp, AttackCode])[] = [
  [/\bis expired\b/, "freeze-expired"],
  [/was signed by \d+\/\d+ keys/, "threshold-not-met"],
  [/doesn't match timestamp|does not match snapshot version/, "mix-and-match"],
  [/New \S+ version \d+ is less than|New version \d+ of \S+ is less than/, "rollback"],
  [/Missing file \S+ in new snapshot|Expected version \d+, got \d+/, "rollback"],
  [/Missing \S+ in snapshot|[Nn]o delegations? found for/, "unknown-role"],
  [/Expected length|Expected hash|Hash algorithm \S+ not supported/, "wrong-length-or-hash"],
  [/Max length reached/, "endless-data"],
];

/** The attack that an error of tuf-js tells of; `malformed` where it is none. */
export function attackOf(error: unknown): AttackCode | "malformed" {
  const text = error instanceof Error ? error.message : String(error);
  return SENTENCES.find(([sentence]) => sentence.test(text))?.[1] ?? "malformed";
}
