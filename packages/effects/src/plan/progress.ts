import { invariant } from "../invariant.ts";
import type { Input } from "../rollout/input.ts";
import type { Instant } from "../time.ts";
import { byCreation, type ChannelEntry } from "./channel.ts";
import type { Look } from "./look.ts";
import { isPlanned, type RolloutEntry } from "./member.ts";

/**
 * Opens the verified current release if it has no rollout yet and is newer than all that were opened (hazards 23, 36, 70),
 * and ends what ran before it. While the CP recovers, the older releases that the repository still holds are opened too,
 * so that replayed events find their rollouts, and are superseded at once.
 */
export function openings(entry: ChannelEntry, now: Instant): readonly Input[] {
  const opened = entry.unverified === null ? toOpen(entry) : [];
  const successor = [...opened, ...entry.rollouts].toSorted(byCreation).at(-1)?.rolloutId;
  if (successor === undefined) return [];
  const ending = [...entry.rollouts, ...opened]
    .filter((rollout) => rollout.rolloutId !== successor && !hasSuccessor(rollout))
    .toSorted(byCreation);
  return [
    ...opened.map((rollout) => openedInput(rollout, now)),
    ...ending.map(
      ({ rolloutId }): Input => ({ kind: "SuccessorOpened", rolloutId, successor, at: now }),
    ),
  ];
}

const hasSuccessor = ({ rollout }: RolloutEntry): boolean =>
  rollout?.kind === "Superseded" || rollout?.kind === "Pruned";

function toOpen({ named, rollouts, replay, verified }: ChannelEntry): readonly RolloutEntry[] {
  const newest = rollouts.at(-1) ?? null;
  if (named === null || named.release === null) return [];
  const isNewer = newest === null || named.createdAt > newest.createdAt;
  const current = isNewer && named.rollout === null ? [named] : [];
  if (replay === null) return current;
  const older = [...verified.values()].filter(
    ({ rollout, createdAt }) => rollout === null && createdAt < named.createdAt,
  );
  return [...older.toSorted(byCreation), ...current];
}

function openedInput({ rolloutId, channel, createdAt, release }: RolloutEntry, at: Instant): Input {
  const ref = release?.release.ref;
  invariant(ref !== undefined, `${rolloutId} is opened with its release at hand`);
  return { kind: "RolloutOpened", rolloutId, channel, ref, createdAt, at };
}

/** The next wave, or the end: only of the rollout that is planned, and only while it is Active. */
export function progress({ rollouts }: ChannelEntry, look: Look): readonly Input[] {
  const entry = rollouts.at(-1);
  if (entry === undefined || !isPlanned(entry) || entry.rollout?.kind !== "Active") return [];
  const { rolloutId, rollout, release } = entry;
  const { cursor } = rollout;
  const at = look.now;
  if (cursor <= (release?.lastWave ?? Number.POSITIVE_INFINITY)) {
    const isComplete =
      look.counts.wave(entry, cursor).complete || rollout.advanced.includes(cursor);
    return isComplete ? [{ kind: "WaveCompleted", rolloutId, wave: cursor, at }] : [];
  }
  const waves = release?.release.waves ?? [];
  const allDone = waves.every(({ index }) => {
    const { done, hosts } = look.counts.wave(entry, index);
    return done === hosts;
  });
  return allDone && waves.length > 0 ? [{ kind: "RolloutCompleted", rolloutId, at }] : [];
}
