import type { Explanation, Fleet, HostName, Instant } from "@nixwave/effects";
import { gateUnanswered, isQuarantined } from "./gateRest.ts";
import { newestRelease, rolloutsUnrest } from "./rolloutRest.ts";
import { isEverCloned } from "./scenario.ts";
import type { World } from "./world.ts";

/**
 * I14: why the world is not at rest yet, one sentence per thing that still moves or that nobody answers for. Empty: every
 * rollout is over or says what would move it, every host is settled or answered for, and both sides agree.
 */
export function unrest(world: World): readonly string[] {
  const { fleet, now } = world.cp;
  if (fleet === null) return ["the control plane is not up"];
  const agents = [...world.hosts.values()].flatMap((host) => {
    if (host.isGone) return [];
    const { journal } = host;
    if (journal === null) return [`${host.name}'s agent does not run`];
    const { unacknowledged } = journal.outbox.counts();
    if (unacknowledged > 0) return [`${host.name} has ${unacknowledged} lines to send`];
    // What a control plane that was set back misses, it learns from heartbeats.
    const reportAt = fleet.host(host.name)?.reportAt ?? 0;
    const since = Math.max(fleet.readyAt, world.calmAt);
    return reportAt > since && reportAt < now ? [] : [`${host.name} was not heard yet`];
  });
  const hosts = [...world.hosts.keys()].flatMap((name) => {
    const explanation = world.watch.explained(fleet, name, now);
    const why = explanation === null ? "has no answer" : unanswered(world, fleet, explanation, now);
    return why === null ? [] : [`${name}: ${why}`];
  });
  return [...agents, ...rolloutsUnrest(world, fleet), ...hosts];
}

/** Null where the answer is one that a person can leave it at: nothing moves, and it is said what would. */
function unanswered(
  world: World,
  fleet: Fleet,
  explanation: Explanation,
  now: Instant,
): string | null {
  const { answer, clears, host } = explanation;
  const isGone = world.hosts.get(host)?.isGone === true;
  const isRevoked = world.revoked.has(host);
  if (isRevoked && answer.kind !== "revoked") return `revoked, and said to be ${answer.kind}`;
  switch (answer.kind) {
    case "done":
      return undone(world, explanation);
    case "revoked":
      return isRevoked ? null : "revoked, and nobody revokes it";
    case "lost":
      if (!isGone) return "lost, and it is up";
      return clears === null ? "lost, and nothing clears it" : null;
    case "failed":
    case "reverted":
      return clears === null ? `${answer.kind}, and nothing clears it` : null;
    case "skipped":
      return skippedWrongly(world, explanation);
    case "deferred":
      return isGone || awaitsBoot(world, host) ? null : "deferred, and it has booted";
    case "rolling-back":
      // Tried in vain, and tried again every hour: a person is told, and has the command.
      return isGone ||
        (answer.record.kind === "Failed" && answer.record.rollback === "failed" && clears !== null)
        ? null
        : "still rolls back";
    case "never-seen":
      return isGone ? null : "never seen, and it is up";
    // Every host is in each release of its channel, and each channel has one by now.
    case "unlisted":
    case "no-release":
      return answer.kind;
    case "gate":
      return gateUnanswered(world, fleet, explanation, now);
    case "queued":
    case "dispatched":
    case "activating":
    case "soaking":
      return isGone
        ? `${answer.kind}, and it is gone`
        : `${answer.kind} since ${explanation.since?.at}`;
  }
}

/** Who is done has converged on what the newest release of its channel names for it, and runs that. */
function undone(world: World, { answer, host, rolloutId, clears }: Explanation): string | null {
  const of = world.hosts.get(host);
  if (answer.kind !== "done" || of === undefined) return null;
  const newest = newestRelease(world, of.channel);
  if (newest?.rolloutId !== rolloutId) return `done in ${rolloutId}, which is not the newest`;
  const wanted = newest?.hosts.find((listed) => listed.host === host)?.closure;
  const { running } = of.machine.system;
  // It was the clone that has converged: a person is told that this one runs something else.
  const isTold = isEverCloned(world.scenario, host) && answer.drifted && clears !== null;
  return of.isGone || running === wanted || isTold ? null : `done, and it runs ${running}`;
}

function skippedWrongly(world: World, { answer, host, rolloutId }: Explanation): string | null {
  if (answer.kind !== "skipped") return null;
  const release = rolloutId === null ? undefined : world.repository.releases.get(rolloutId);
  switch (answer.reason) {
    case "offline":
      return world.hosts.get(host)?.isGone === true ? null : "skipped as offline, and it is not";
    case "quarantined":
      return release !== undefined && isQuarantined(world, release, host)
        ? null
        : "skipped as quarantined, and no row has it";
    case "revoked":
    case null:
      return `skipped, and ${answer.reason ?? "nothing"} is no reason`;
  }
}

/** It runs something else until people boot it, whom nobody can make hurry. */
function awaitsBoot(world: World, host: HostName): boolean {
  const system = world.hosts.get(host)?.machine.system;
  return system !== undefined && system.boot !== system.running;
}
