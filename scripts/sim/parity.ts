import type { HostRollout } from "@nixwave/effects";
import { isSame } from "./equal.ts";

export interface Doubts {
  /** The mirror's database was another one before. */
  readonly isReplaced: boolean;
  /** Somebody may have told the agent what the control plane did not. */
  readonly isLiedTo: boolean;
}

/** What two records of the same envelopes differ in, for people; null: nothing. */
export function difference(
  own: HostRollout,
  mirror: HostRollout,
  { isReplaced, isLiedTo }: Doubts,
): string | null {
  const isRefusal = isLiedTo && own.kind === "Pending" && own.lastReject !== null;
  // A journal that began anew has refused what was told to the one before: the mirror takes no answer to what is acknowledged or over.
  if (isRefusal && (mirror.kind !== "Pending" || mirror.attempt > own.attempt)) return null;
  // Whose journal began anew takes any attempt for its first; only a liar offers it one that is over, and the mirror refuses the answer.
  if (isLiedTo && own.attempt < mirror.attempt) return null;
  // An agent has the terms once it has verified the release.
  const { terms } = own.terms === null ? own : mirror;
  if (own.lastSeq === 0) return null;
  const one = comparable(own, isReplaced);
  const other = { ...comparable(mirror, isReplaced), terms, ...(isRefusal ? claimed(own) : {}) };
  if (isSame(one, other)) return null;
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])].filter(
    (key) => !isSame(Reflect.get(one, key), Reflect.get(other, key)),
  );
  const said = keys.map((key) => {
    const [ours, theirs] = [one, other].map((each) => JSON.stringify(Reflect.get(each, key)));
    return `${key} is ${ours} there and ${theirs} here`;
  });
  return `${own.host} in ${own.rolloutId}, seq ${own.lastSeq}: ${said.join("; ")}`;
}

/**
 * Until a release was acknowledged, closure and channel are what the dispatch said that was refused; no decision reads them, and
 * somebody else may have said it (docs/decisions/0028).
 */
const claimed = ({ targetClosure, channel }: HostRollout): object => ({ targetClosure, channel });

/**
 * Estimates for people are not compared. A CP that was set back may never learn of a rollout that came and went since, so
 * it can't name the one that superseded; that it was superseded it knows. Nor does the one that it names have to be in the agent's
 * record: a replay may bring the acknowledgement of a later one first, and what has ended is not ended again.
 */
function comparable(record: HostRollout, isReplaced: boolean): object {
  const { dispatchedAt: _, soakDueAt: __, supersededBy, ...rest } = record;
  return { ...rest, supersededBy: isReplaced ? supersededBy !== null : supersededBy };
}
