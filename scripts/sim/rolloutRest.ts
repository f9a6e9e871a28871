import type { Channel, Fleet, HostMarks, HostRollout, Release, Rollout } from "@nixwave/effects";
import { isFailing } from "@nixwave/testkit";
import type { World } from "./world.ts";

/**
 * I14 for rollouts: each channel runs the newest release that its operators have published and nothing else, and a rollout that could
 * go on has gone on. Reckoned from releases, records and marks, since the plan's own counts would be asked whether they are right.
 */
export function rolloutsUnrest(world: World, fleet: Fleet): readonly string[] {
  return world.repository.channels.flatMap((channel) => {
    const newest = newestRelease(world, channel);
    const why = fleet.unverified(channel);
    const unverified = why === null ? [] : [`${channel} is unverified: ${why.reason}`];
    const rollout = newest === null ? null : fleet.rollout(newest.rolloutId);
    if (newest === null || rollout === null)
      return [...unverified, `${channel}'s newest release has no rollout`];
    const older = fleet.rolloutsOf(channel).flatMap(({ rolloutId, kind }) => {
      const isOver = kind === "Superseded" || kind === "Pruned";
      return isOver || rolloutId === newest.rolloutId ? [] : [`${rolloutId} is ${kind} still`];
    });
    const could = couldGoOn(fleet, newest, rollout);
    return [...unverified, ...older, ...(could === null ? [] : [could])];
  });
}

export function newestRelease(world: World, channel: Channel): Release | null {
  const all = [...world.repository.releases.values()].filter((each) => each.channel === channel);
  return all.sort((a, b) => a.createdAt - b.createdAt).at(-1) ?? null;
}

/** An Active rollout moves by itself to the next wave or to its end, and one that failed is Reverted once its hosts are. */
function couldGoOn(fleet: Fleet, release: Release, rollout: Rollout): string | null {
  const { rolloutId, kind, cursor, advanced } = rollout;
  if (kind === "Superseded" || kind === "Pruned")
    return `${rolloutId} is the newest, and is ${kind}`;
  const states = release.hosts.map(({ host, wave }) => ({
    wave,
    record: fleet.record(rolloutId, host),
    marks: fleet.marks(rolloutId, host),
  }));
  const failing = states.filter(({ record, marks }) => isFailing(record, marks));
  const isBack = ({ record, marks }: State): boolean =>
    marks.lostAt === null && record?.kind === "Reverted";
  if (kind === "Failed" && rollout.cause === "failures" && failing.length > 0)
    return failing.every(isBack) ? `${rolloutId} is Failed, and each failed host is back` : null;
  if (kind !== "Active") return null;
  const failures = failing.length;
  const isDone = (state: State): boolean => isSurelyDone(state, { release, failures });
  if (cursor > release.waves.length)
    return states.every(isDone) ? `${rolloutId} is Active, and each of its hosts is done` : null;
  const wave = states.filter((state) => state.wave === cursor);
  const isComplete = wave.every(isDone) && wave.some((state) => isProven(state, release));
  return isComplete || advanced.includes(cursor)
    ? `${rolloutId} stays at wave ${cursor}, which is complete`
    : null;
}

interface State {
  readonly record: HostRollout | null;
  readonly marks: HostMarks;
}

const isProven = ({ record, marks }: State, { policy }: Release): boolean =>
  marks.forgottenAt === null &&
  (record?.kind === "Converged" ||
    (record?.kind === "Deferred" && policy.deferredCounts === "done"));

function isSurelyDone(
  state: State,
  { release, failures }: { readonly release: Release; readonly failures: number },
): boolean {
  const { record, marks } = state;
  if (marks.skippedAt !== null || isProven(state, release)) return true;
  const isOver =
    marks.lostAt !== null ||
    record?.kind === "Reverted" ||
    (record?.kind === "Failed" && record.rollback !== "owed");
  const isBorne = failures <= release.policy.maxFailures || marks.forgivenAt !== null;
  return isOver && isBorne && marks.attemptDue === null;
}
