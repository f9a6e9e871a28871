import {
  type Explanation,
  type Fleet,
  type HostName,
  type Instant,
  type Release,
  waveHolds,
} from "@nixwave/effects";
import { gatingChannel, holdsSlot, outOfOrder } from "@nixwave/testkit";
import type { World } from "./world.ts";

/**
 * I14 for a host that waits at a gate of its rollout: null where what the gate waits for is there, reckoned from records, dispatches and
 * rows and not by the gate, or where only a person opens it and is told how.
 */
export function gateUnanswered(
  world: World,
  fleet: Fleet,
  explanation: Explanation,
  now: Instant,
): string | null {
  const { answer, clears, earliest, rolloutId, host } = explanation;
  if (answer.kind !== "gate") return null;
  const { block } = answer;
  const said = `waits at ${block.gate}`;
  const release = rolloutId === null ? undefined : world.repository.releases.get(rolloutId);
  const rollout = rolloutId === null ? null : fleet.rollout(rolloutId);
  if (release === undefined || rollout === null) return `${said} of no rollout`;
  if (earliest !== null && earliest > now) return `${said} until ${earliest}`;
  const told = clears === null ? `${said}, and nothing clears it: ${JSON.stringify(block)}` : null;
  switch (block.gate) {
    case "wave":
      return waveUnanswered(fleet, release, now, said);
    case "offline":
      return world.hosts.get(host)?.isGone === true ? null : `${said}, and it is up`;
    case "host-edge":
      return outOfOrder(fleet, release, host) === null ? `${said}, and none is before it` : null;
    case "channel-edge":
      return gatingChannel(fleet, rollout) === null
        ? `${said}, and ${block.channel} has completed its current release`
        : null;
    case "budget":
      return isAnyFull(world, fleet, release, host) ? null : `${said}, and there is room in it`;
    case "rollout-halted":
      return rollout.kind === "Failed" || rollout.kind === "Reverted"
        ? told
        : `${said}, and it is ${rollout.kind}`;
    case "paused":
      return rollout.pause?.until === null ? told : `${said}, and the pause is over`;
    case "frozen":
      return block.freeze.until === null ? told : `${said}, and the freeze is over`;
    case "quarantine":
      return isQuarantined(world, release, host) ? told : `${said}, and no row has it`;
    case "refused":
      return told;
    // Each ends by itself, and no simulated host is listed twice.
    case "host-busy":
    case "replay":
    case "release-unverified":
    case "duplicate-host":
    case "channel-conflict":
      return `${said}: ${JSON.stringify(block)}`;
  }
}

function waveUnanswered(
  fleet: Fleet,
  { rolloutId }: Release,
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

/** As the rows have it. */
export function isQuarantined(world: World, release: Release, host: HostName): boolean {
  const listed = release.hosts.find((each) => each.host === host);
  return world.cp.disk.quarantines().has(`${release.channel} ${listed?.closure}`);
}

/** A budget of the host whose slots others hold, over all rollouts, by an open dispatch or a record in flight. */
function isAnyFull(world: World, fleet: Fleet, { budgets }: Release, host: HostName): boolean {
  const rollouts = fleet.channels().flatMap((channel) => fleet.rolloutsOf(channel));
  return budgets.some(({ name, hosts, maxInFlight }) => {
    if (!hosts.includes(host)) return false;
    const holders = rollouts.flatMap((rollout) => {
      const of = world.repository.releases.get(rollout.rolloutId)?.budgets ?? [];
      const others = of.find((each) => each.name === name)?.hosts ?? [];
      return others.filter((each) => each !== host && holdsSlot(fleet, rollout, each));
    });
    return new Set(holders).size >= maxInFlight;
  });
}
