import {
  type Channel,
  type HostName,
  invariant,
  type Release,
  type RolloutId,
} from "@nixwave/effects";
import type {
  Done,
  HostRevocation,
  ReleasesSeen,
  ReleasesTaken,
  ReleaseUnreadable,
} from "../command.ts";
import type { Draft } from "./draft.ts";
import { replayAgain } from "./replay.ts";

type RefusedRelease = ReleasesTaken["refused"][number];

/**
 * All channels of one verified snapshot. Seen again unchanged it is no news; `plan` opens what is new, gating channels first, and
 * supersedes what it follows. `opened` is known only after the plan.
 */
export function decideReleasesSeen(draft: Draft, command: ReleasesSeen): () => ReleasesTaken {
  const refused: RefusedRelease[] = [];
  const taken: RolloutId[] = [];
  for (const { release, current } of command.releases) {
    const problem = take(draft, release.value, current);
    if (problem === null) taken.push(release.value.rolloutId);
    else refused.push(problem);
  }
  const { fleet } = draft.memory;
  if (command.withHeld) draft.memory.heldTaken = true;
  const before = new Set(taken.filter((rolloutId) => fleet.rollout(rolloutId) !== null));
  return () => ({
    kind: "seen",
    opened: taken.filter(
      (rolloutId) => !before.has(rolloutId) && fleet.rollout(rolloutId) !== null,
    ),
    refused,
  });
}

function take(draft: Draft, release: Release, current: boolean): RefusedRelease | null {
  const { memory } = draft;
  const { rolloutId, channel, ref } = release;
  const known = memory.release(rolloutId) !== null;
  const named = memory.currents.get(channel) === rolloutId;
  const trusted = memory.fleet.unverified(channel) === null;
  if (known && (!current || (named && trusted))) return null;
  const problem = current && !known ? problemOf(draft, release) : null;
  if (problem !== null) {
    refuse(draft, channel, problem);
    return problem;
  }
  if (!known) {
    memory.releases.set(rolloutId, release);
    draft.observe({ kind: "ReleaseStored", release });
    replayAgain(draft);
  }
  draft.append({ kind: "ReleaseVerified", rolloutId, channel, ref, current });
  memory.refusals.delete(channel);
  if (current) memory.currents.set(channel, rolloutId);
  draft.log("info", "release verified", [
    ["rollout", rolloutId],
    ["current", String(current)],
  ]);
  return null;
}

/** A release created no later than one that was opened would walk the channel backwards (hazard 70). */
function problemOf({ memory }: Draft, release: Release): RefusedRelease | null {
  const { rolloutId, channel } = release;
  const newer = memory.fleet
    .rolloutsOf(channel)
    .find((rollout) => rollout.rolloutId !== rolloutId && rollout.createdAt >= release.createdAt);
  if (newer !== undefined)
    return {
      rolloutId,
      code: "older",
      sentence: `${rolloutId} was created no later than ${newer.rolloutId}, which was opened on ${channel}: make a new release.`,
    };
  if (memory.fleet.closesCycle(release))
    return {
      rolloutId,
      code: "edge-cycle",
      sentence: `The channel edges of ${rolloutId} close a cycle with those of other channels: take one of them out and release again.`,
    };
  return null;
}

/** What ran goes on: the channel keeps the release that it has. Logged once, not at each look. */
function refuse(
  draft: Draft,
  channel: Channel,
  { rolloutId, code, sentence }: RefusedRelease,
): void {
  const { memory } = draft;
  if (memory.refusals.get(channel) === `${rolloutId} ${code}`) return;
  memory.refusals.set(channel, `${rolloutId} ${code}`);
  draft.log("warn", "release refused", [
    ["rollout", rolloutId],
    ["code", code],
    ["reason", sentence],
  ]);
}

/** Closes the gate `release-unverified`; the same refusal again is no change. */
export function decideReleaseUnreadable(draft: Draft, command: ReleaseUnreadable): Done {
  const { channel, code, reason } = command;
  const known = draft.memory.fleet.unverified(channel);
  if (known?.reason === reason)
    return { kind: "done", offset: null, rolloutId: null, freezeId: null };
  const { offset } = draft.append({ kind: "ReleaseRefused", channel, ref: null, code, reason });
  draft.log("warn", "release unverified", [
    ["channel", channel],
    ["code", code],
    ["reason", reason],
  ]);
  return { kind: "done", offset, rolloutId: null, freezeId: null };
}

/** Replaces the whole set, so that one can be un-revoked too (hazard 90). */
export function decideHostRevocation(draft: Draft, command: HostRevocation): Done {
  const { memory } = draft;
  const next = new Set(command.revoked);
  invariant(next.size === command.revoked.length, "a set of hosts names each once");
  const changed = (host: HostName, revoked: boolean): void =>
    memory.fleet.apply({ kind: "HostRevoked", host, revoked });
  for (const host of memory.revoked) if (!next.has(host)) changed(host, false);
  for (const host of next) if (!memory.revoked.has(host)) changed(host, true);
  memory.revoked = next;
  draft.observe({ kind: "RevocationsReplaced", revoked: command.revoked });
  return { kind: "done", offset: null, rolloutId: null, freezeId: null };
}
