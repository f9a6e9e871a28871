import {
  type Explanation,
  explainHost,
  type Fleet,
  type Instant,
  waveHolds,
} from "@nixwave/effects";
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
  const asked = fleet.channels().flatMap((channel) => {
    const rollout = fleet.newestRollout(channel);
    if (rollout === null) return [`${channel} has a release and no rollout`];
    return [];
  });
  const hosts = [...world.hosts.keys()].flatMap((name) => {
    const explanation = explainHost(fleet, name, now);
    const why = unanswered(world, fleet, explanation, now);
    return why === null ? [] : [`${name}: ${why}`];
  });
  return [...agents, ...asked, ...hosts];
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
  switch (answer.kind) {
    case "done":
    case "revoked":
    case "unlisted":
      return null;
    case "failed":
    case "reverted":
    case "lost":
      return clears === null ? `${answer.kind}, and nothing clears it` : null;
    case "skipped":
      return answer.reason === "offline" && !isGone ? "skipped as offline, and it is not" : null;
    case "deferred":
      return null;
    case "rolling-back":
      // Tried in vain, and tried again every hour: a person is told, and has the command.
      return isGone ||
        (answer.record.kind === "Failed" && answer.record.rollback === "failed" && clears !== null)
        ? null
        : "still rolls back";
    case "never-seen":
      return isGone ? null : "never seen, and it is up";
    case "no-release":
      return "no release";
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

function gateUnanswered(
  world: World,
  fleet: Fleet,
  { answer, clears, earliest, rolloutId, host }: Explanation,
  now: Instant,
): string | null {
  if (answer.kind !== "gate") return null;
  const { block } = answer;
  const said = `waits at ${block.gate}`;
  if (earliest !== null && earliest > now) return `${said} until ${earliest}`;
  switch (block.gate) {
    case "wave":
      return rolloutId === null ? said : waveUnanswered(fleet, rolloutId, now, said);
    case "offline":
      return world.hosts.get(host)?.isGone === true ? null : `${said}, and it is up`;
    case "host-edge":
    case "channel-edge":
    case "budget":
      // Whoever holds it is asked for itself.
      return null;
    case "host-busy":
      return `${said}: ${JSON.stringify(block)}`;
    case "rollout-halted":
    case "replay":
    case "release-unverified":
    case "paused":
    case "frozen":
    case "channel-conflict":
    case "duplicate-host":
    case "quarantine":
    case "refused":
      return clears === null ? `${said}, and nothing clears it: ${JSON.stringify(block)}` : null;
  }
}

function waveUnanswered(
  fleet: Fleet,
  rolloutId: Parameters<typeof waveHolds>[1],
  now: Instant,
  said: string,
): string | null {
  const held = waveHolds(fleet, rolloutId, now).find(
    ({ complete, advanced }) => !complete && !advanced,
  );
  if (held === undefined) return `${said}, and no wave is incomplete`;
  if (held.heldBy === null)
    return `${said}: wave ${held.wave} is held by nothing: ${JSON.stringify(held)}`;
  return null;
}
