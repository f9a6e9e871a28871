import type { Instant } from "@nixwave/effects";
import { type Expiry, isDue, type RepositoryStatus, type TrustProblem } from "@nixwave/protocol";

/** What is told of the mirrored repository. */
export interface RepositoryHealth {
  /** What is wrong with it as a whole. */
  readonly problem: Pick<TrustProblem, "code" | "reason"> | null;
  /** Of the state verified last, the first to end first. */
  readonly expiries: readonly Expiry[];
}

export function repositoryStatus(
  { problem, expiries }: RepositoryHealth,
  now: Instant,
): RepositoryStatus {
  return {
    problem: problem === null ? null : { code: problem.code, reason: problem.reason },
    expiries: expiries.map((expiry) => ({
      role: expiry.role,
      expiresAt: expiry.expiresAt,
      due: isDue(expiry, now),
    })),
  };
}
