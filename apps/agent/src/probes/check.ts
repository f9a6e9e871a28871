import type { ProbeStatus, SubResult } from "@nixwave/effects";

/** What one run of a probe came to. An error while probing is a fail, and `failureReason` is then one clear sentence. */
export interface CheckOutcome {
  readonly status: ProbeStatus;
  readonly failureReason: string | null;
  readonly subResults: readonly SubResult[] | null;
}

/** Runs once, within its own timeout; never rejects. */
export type RunCheck = (signal: AbortSignal) => Promise<CheckOutcome>;

/** What an event may carry; anything longer is output. */
const REASON_LENGTH_MAX = 2000;

export const PASS: CheckOutcome = { status: "pass", failureReason: null, subResults: null };

export const failed = (
  reason: string,
  subResults: readonly SubResult[] | null = null,
): CheckOutcome => ({
  status: "fail",
  failureReason:
    reason.length <= REASON_LENGTH_MAX ? reason : `${reason.slice(0, REASON_LENGTH_MAX)}…`,
  subResults,
});

export const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);
