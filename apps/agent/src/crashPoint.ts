/**
 * Every place at which a test may kill the agent. crashPoint.test.ts compares this list with the places in the code,
 * so a point that nobody passes, or that nobody listed, fails.
 */
export const CRASH_POINTS = [
  "before-commit",
  "after-commit",
  "before-perform-LocalFireSwitch",
  "after-perform-LocalFireSwitch",
  "before-perform-LocalFireRollbackTo",
  "after-perform-LocalFireRollbackTo",
  "before-perform-LocalResetProbeCache",
  "after-perform-LocalResetProbeCache",
  "before-perform-EmitMetric",
  "after-perform-EmitMetric",
  "before-perform-EmitLog",
  "after-perform-EmitLog",
  "before-sent-mark",
  "before-post",
  "after-answer",
  "before-profile",
  "after-profile",
  "before-fire",
  "after-fire",
  "before-rollback-profile",
  "after-rollback-profile",
  "before-rollback-fire",
  "after-rollback-fire",
  "after-unit-ended",
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

/** `after-commit:3`: the third time that this point is passed. */
export interface CrashPlan {
  readonly point: CrashPoint;
  readonly nth: number;
}

const isCrashPoint = (text: string): text is CrashPoint =>
  CRASH_POINTS.some((point) => point === text);

/** Reads NIXWAVE_CRASH_AT; the error is a sentence. */
export function parseCrashPlan(text: string): CrashPlan {
  const [point = "", nthText = "1"] = text.split(":");
  const nth = Number(nthText);
  if (!isCrashPoint(point))
    throw new Error(
      `NIXWAVE_CRASH_AT names "${point}"; expected one of ${CRASH_POINTS.join(", ")}`,
    );
  if (!Number.isSafeInteger(nth) || nth < 1)
    throw new Error(`NIXWAVE_CRASH_AT counts "${nthText}"; expected a whole number from 1`);
  return { point, nth };
}
