import type { Attempt } from "../ids.ts";
import type { AttemptOwed, Input } from "./input.ts";
import type { HostMarks } from "./state.ts";

/** What an input says about one host of one rollout. The same reference where it says nothing of it. */
export function stepMarks(marks: HostMarks, input: Input): HostMarks {
  switch (input.kind) {
    case "HostSkipped":
      return isAbout(marks, input) && marks.skippedAt === null
        ? { ...marks, skippedAt: input.at }
        : marks;
    case "HostReturned":
      return isAbout(marks, input) && marks.skippedAt !== null
        ? { ...marks, skippedAt: null }
        : marks;
    case "HostLost":
      // Nobody has forgiven this yet, whatever was forgiven before.
      return isAbout(marks, input) && marks.lostAt === null
        ? { ...marks, lostAt: input.at, forgivenAt: null }
        : marks;
    case "HostFound":
      return isAbout(marks, input) && marks.lostAt !== null ? { ...marks, lostAt: null } : marks;
    case "HostForgot":
      return isAbout(marks, input) && marks.forgottenAt === null
        ? owe({ ...marks, forgottenAt: input.at }, input.attempt)
        : marks;
    case "HostStateChanged":
      // A new failure is not covered by an old forgiveness.
      return isAbout(marks, input) && input.to === "Failed" && marks.forgivenAt !== null
        ? { ...marks, forgivenAt: null }
        : marks;
    case "OperatorRetried":
      return isAbout(marks, input)
        ? owe(
            marks.retriedAt === input.at ? marks : { ...marks, retriedAt: input.at },
            input.attempt,
          )
        : marks;
    case "OperatorCleared": {
      const forgiven =
        input.rolloutId === marks.rolloutId &&
        input.forgiven.includes(marks.host) &&
        marks.forgivenAt === null;
      return oweAny(forgiven ? { ...marks, forgivenAt: input.at } : marks, input.attempts);
    }
    case "QuarantineLifted":
      return oweAny(marks, input.attempts);
    case "RolloutOpened":
    case "HostJoined":
    case "DispatchCancelled":
    case "WaveCompleted":
    case "RolloutCompleted":
    case "SuccessorOpened":
    case "OperatorPaused":
    case "OperatorResumed":
    case "OperatorAdvanced":
    case "OperatorCancelled":
    case "RetentionExpired":
    case "Frozen":
    case "Unfrozen":
    case "ReplayEnded":
      return marks;
  }
}

/** The DispatchAck of an attempt pays what was owed up to that attempt, and starts with a clean slate. */
export function ackMarks(marks: HostMarks, attempt: Attempt): HostMarks {
  const paid = marks.attemptDue !== null && marks.attemptDue <= attempt;
  const attemptDue = paid ? null : marks.attemptDue;
  const unchanged =
    attemptDue === marks.attemptDue && marks.forgottenAt === null && marks.forgivenAt === null;
  return unchanged ? marks : { ...marks, attemptDue, forgottenAt: null, forgivenAt: null };
}

const isAbout = (
  marks: HostMarks,
  input: { readonly rolloutId: string; readonly host: string },
): boolean => input.rolloutId === marks.rolloutId && input.host === marks.host;

/** An attempt owed never moves backwards (I12). */
const owe = (marks: HostMarks, attempt: Attempt): HostMarks =>
  marks.attemptDue !== null && marks.attemptDue >= attempt
    ? marks
    : { ...marks, attemptDue: attempt };

const oweAny = (marks: HostMarks, attempts: readonly AttemptOwed[]): HostMarks =>
  attempts
    .filter((owed) => isAbout(marks, owed))
    .reduce((owing, { attempt }) => owe(owing, attempt), marks);
