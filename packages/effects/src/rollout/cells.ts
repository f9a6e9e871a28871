import type { ByKind } from "../interpret.ts";
import type { Instant } from "../time.ts";
import type {
  FailureCount,
  HostFound,
  HostLost,
  HostStateChanged,
  OperatorAdvanced,
  OperatorCancelled,
  OperatorPaused,
  RolloutOpened,
  SuccessorOpened,
  WaveCompleted,
} from "./input.ts";
import type {
  ActiveRollout,
  CompletedRollout,
  FailedRollout,
  HaltCause,
  RevertedRollout,
  Rollout,
  RolloutState,
  SupersededRollout,
} from "./state.ts";
import type { RolloutStepInput, RolloutStepKind } from "./step.ts";

/** The rollout after the input (the same reference if nothing changed), or the sentence that says why it was refused. */
export type Verdict = Rollout | null | string;
/** One cell: what an input of kind K does to a rollout in state S. */
export type RolloutCell<S extends RolloutState, K extends RolloutStepKind> = (
  rollout: ByKind<Rollout>[S],
  input: ByKind<RolloutStepInput>[K],
  now: Instant,
) => Verdict;

type Running = ActiveRollout | CompletedRollout;
type Halted = FailedRollout | RevertedRollout;
type Unended = Running | Halted;

/** A fact about one host: its marks and records change, the rollout does not. */
export const stay = (rollout: Rollout): Verdict => rollout;
export const unopened = (_: null, input: { readonly rolloutId: string }): Verdict =>
  `${input.rolloutId} was never opened`;
export const ended = (rollout: Rollout): Verdict =>
  `${rollout.rolloutId} has ended: it is ${rollout.kind}`;
export const notActive = (rollout: Rollout): Verdict =>
  `${rollout.rolloutId} is ${rollout.kind}, not Active`;
export const notHalted = (rollout: Rollout): Verdict =>
  `${rollout.rolloutId} is ${rollout.kind}: nothing is halted`;

export function opened(_: null, input: RolloutOpened, now: Instant): Verdict {
  const { rolloutId, channel, ref, createdAt } = input;
  return {
    kind: "Active",
    rolloutId,
    channel,
    ref,
    createdAt,
    openedAt: now,
    cursor: 1,
    advanced: [],
    pause: null,
  };
}

/** The fields that every state has; what one state alone carries does not outlive it. */
function base(rollout: Rollout) {
  const { rolloutId, channel, ref, createdAt, openedAt, cursor, advanced, pause } = rollout;
  return { rolloutId, channel, ref, createdAt, openedAt, cursor, advanced, pause };
}

const halt = (rollout: Rollout, cause: HaltCause, now: Instant): FailedRollout => ({
  ...base(rollout),
  kind: "Failed",
  haltedAt: now,
  cause,
});

/** More failures than the policy bears stop the rollout; never fewer. */
export function lostWhileRunning(rollout: Running, input: HostLost, now: Instant): Verdict {
  return input.failures > input.maxFailures ? halt(rollout, "failures", now) : rollout;
}

export function hostChangedWhileRunning(
  rollout: Running,
  input: HostStateChanged,
  now: Instant,
): Verdict {
  if (input.to !== "Failed") return rollout;
  return input.failures > input.maxFailures ? halt(rollout, "failures", now) : rollout;
}

/** Whatever the host did but fail: a new attempt of one that had failed may leave only reverted ones. */
export const hostChangedWhileFailed = (rollout: FailedRollout, input: HostStateChanged): Verdict =>
  input.to === "Failed" ? rollout : onceReverted(rollout, input);
/** A host that was lost is a failure that is not back; one that is found is none any more. */
export const foundWhileFailed = (rollout: FailedRollout, input: HostFound): Verdict =>
  onceReverted(rollout, input);

/** Still halted once every failed host is back on what it ran; a cancelled rollout keeps its cause (hazard 30). */
function onceReverted(rollout: FailedRollout, { failures, reverted }: FailureCount): Verdict {
  const { haltedAt, cause } = rollout;
  if (cause !== "failures" || failures === 0 || reverted < failures) return rollout;
  return { ...base(rollout), kind: "Reverted", haltedAt, cause };
}

/** A host that acknowledged goes on after the halt, and may fail too: then "every failed host has rolled back" is untrue. */
export function hostChangedWhileReverted(
  rollout: RevertedRollout,
  input: HostStateChanged,
): Verdict {
  return input.to === "Failed" ? unreverted(rollout) : rollout;
}
export const lostWhileReverted = (rollout: RevertedRollout): Verdict => unreverted(rollout);

function unreverted(rollout: RevertedRollout): FailedRollout {
  const { haltedAt, cause } = rollout;
  return { ...base(rollout), kind: "Failed", haltedAt, cause };
}

/** The one move of the cursor, and only from the wave it stands on (hazard 24). */
export function waveCompleted(rollout: ActiveRollout, { wave }: WaveCompleted): Verdict {
  if (wave < rollout.cursor) return rollout;
  if (wave > rollout.cursor)
    return `wave ${wave} of ${rollout.rolloutId} can't be complete before wave ${rollout.cursor}`;
  return { ...rollout, cursor: rollout.cursor + 1 };
}

export const completed = (rollout: ActiveRollout, _: unknown, now: Instant): Verdict => ({
  ...base(rollout),
  kind: "Completed",
  completedAt: now,
});

export function succeeded(rollout: Unended, input: SuccessorOpened, now: Instant): Verdict {
  if (input.successor === rollout.rolloutId) return `${rollout.rolloutId} can't succeed itself`;
  const superseded: SupersededRollout = {
    ...base(rollout),
    kind: "Superseded",
    supersededAt: now,
    supersededBy: input.successor,
  };
  return superseded;
}

export function paused(rollout: Unended, input: OperatorPaused, now: Instant): Verdict {
  const { by, reason, until } = input;
  return { ...rollout, pause: { by, reason, since: now, until } };
}
export const resumed = (rollout: Unended): Verdict =>
  rollout.pause === null ? rollout : { ...rollout, pause: null };

export function advanced(rollout: ActiveRollout, { wave }: OperatorAdvanced): Verdict {
  if (wave < rollout.cursor || rollout.advanced.includes(wave)) return rollout;
  if (wave > rollout.cursor)
    return `wave ${wave} of ${rollout.rolloutId} is not open yet: wave ${rollout.cursor} is`;
  return { ...rollout, advanced: [...rollout.advanced, wave] };
}

/** Back to Active: the failures so far are forgiven in the hosts' marks, the quarantines stay. */
export function cleared(rollout: Halted): Verdict {
  if (rollout.cause === "cancelled")
    return `${rollout.rolloutId} was cancelled: only a new release ends that`;
  return { ...base(rollout), kind: "Active" };
}

export function cancelled(rollout: Unended, _: OperatorCancelled, now: Instant): Verdict {
  const already = rollout.kind === "Failed" && rollout.cause === "cancelled";
  return already ? rollout : halt(rollout, "cancelled", now);
}

export const expired = (
  rollout: Exclude<Rollout, ActiveRollout>,
  _: unknown,
  now: Instant,
): Verdict => ({
  ...base(rollout),
  kind: "Pruned",
  prunedAt: now,
});
