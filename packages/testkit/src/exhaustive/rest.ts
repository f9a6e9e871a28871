import { type Explanation, explainHost, type Release, type Rollout } from "@nixwave/effects";
import { closedEdge, type Facts, isWaveComplete, isWaveDone, releaseNamed } from "./facts.ts";
import { load, NOW, type Rows } from "./rows.ts";
import { channelsOf, type Setting } from "./setting.ts";

/** Null where it is in order that nothing moves any more: each rollout is over, or each of its hosts has an answer that says what would. */
export function restReason(rows: Rows, world: Setting): string | null {
  const facts: Facts = { fleet: load(rows, world), world, released: rows.released };
  for (const channel of channelsOf(world)) {
    const rollout = facts.fleet.newestRollout(channel);
    if (rollout === null) return `no rollout of ${channel} is open`;
    const release = releaseNamed(facts, rollout.rolloutId);
    if (release === null || rollout.kind === "Completed") continue;
    const reason = progressOwed(facts, release, rollout) ?? stuckHost(facts, release, rollout);
    if (reason !== null)
      return `${rollout.rolloutId} is ${rollout.kind}, nothing is left to happen, and ${reason}`;
  }
  return null;
}

/** A wave or a rollout that is complete, and is not taken as that: whoever waits for it would be told that it is not. */
function progressOwed(facts: Facts, release: Release, { kind, cursor }: Rollout): string | null {
  if (kind !== "Active") return null;
  const waves = release.waves.map(({ index }) => index);
  if (waves.includes(cursor))
    return isWaveComplete(facts, release, cursor) ? `wave ${cursor} is complete` : null;
  return waves.every((wave) => isWaveDone(facts, release, wave)) ? "each wave is done" : null;
}

function stuckHost(facts: Facts, release: Release, rollout: Rollout): string | null {
  for (const { host, wave } of release.hosts) {
    const { answer, clears } = explainHost(facts.fleet, host, NOW);
    const isHeld = closedEdge(facts, release, host) !== null;
    if (clears !== null || isRest(answer, { isHeld, isLater: wave > rollout.cursor })) continue;
    const gate = answer.kind === "gate" ? ` (${answer.block.gate})` : "";
    return `${host} is ${answer.kind}${gate} with nothing that would clear it`;
  }
  return null;
}

/**
 * Its end, or it waits for a host that has died or for one whose own answer says what clears it. That an edge or a wave
 * holds it is taken from the facts, not from the gate: one that never opens says of itself that it is closed.
 */
function isRest(
  answer: Explanation["answer"],
  { isHeld, isLater }: { readonly isHeld: boolean; readonly isLater: boolean },
): boolean {
  if (answer.kind === "done" || answer.kind === "skipped" || answer.kind === "lost") return true;
  if (answer.kind !== "gate") return false;
  switch (answer.block.gate) {
    case "offline":
      return true;
    case "wave":
      return isLater;
    case "host-edge":
    case "channel-edge":
      return isHeld;
    case "rollout-halted":
    case "replay":
    case "release-unverified":
    case "paused":
    case "frozen":
    case "channel-conflict":
    case "duplicate-host":
    case "quarantine":
    case "refused":
    case "host-busy":
    case "budget":
      return false;
  }
}
