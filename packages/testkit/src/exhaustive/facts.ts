import type { Channel, FleetState, HostName, Release, RolloutId } from "@nixwave/effects";
import { hostsOf, releasedBy, releaseOf, type Setting } from "./setting.ts";

// What planning.md calls proven, done, complete and open, asked of the stored facts; no gate, count or index is asked.

export interface Facts {
  readonly fleet: FleetState;
  readonly world: Setting;
  /** How many releases of the first channel there are. */
  readonly released: number;
}

const releasesOf = ({ world, released }: Facts): readonly Release[] =>
  releasedBy(world, released).map((nth) => releaseOf(world, nth));

export const releaseNamed = (facts: Facts, rolloutId: RolloutId): Release | null =>
  releasesOf(facts).find((release) => release.rolloutId === rolloutId) ?? null;

function isProven({ fleet, world }: Facts, rolloutId: RolloutId, host: HostName): boolean {
  const record = fleet.record(rolloutId, host);
  if (fleet.marks(rolloutId, host).forgottenAt !== null) return false;
  if (record?.kind === "Converged") return true;
  return record?.kind === "Deferred" && world.policy.deferredCounts === "done";
}

function isDone(facts: Facts, rolloutId: RolloutId, host: HostName): boolean {
  if (isProven(facts, rolloutId, host)) return true;
  const { fleet, world } = facts;
  const { skippedAt, lostAt, forgivenAt, attemptDue } = fleet.marks(rolloutId, host);
  if (skippedAt !== null) return true;
  const record = fleet.record(rolloutId, host);
  const owes = record?.kind === "Failed" && record.rollback === "owed" && lostAt === null;
  const hasFailed = lostAt !== null || record?.kind === "Failed" || record?.kind === "Reverted";
  if (!hasFailed || owes || attemptDue !== null) return false;
  const failing = hostsOf(world).filter((each) => {
    const marks = fleet.marks(rolloutId, each);
    const kind = fleet.record(rolloutId, each)?.kind;
    const fails = marks.lostAt !== null || kind === "Failed" || kind === "Reverted";
    return fails && marks.forgivenAt === null;
  });
  return forgivenAt !== null || failing.length <= (world.policy.maxFailures ?? 0);
}

export function isWaveDone(facts: Facts, release: Release, wave: number): boolean {
  const hosts = release.hosts.filter((each) => each.wave === wave);
  return hosts.length > 0 && hosts.every(({ host }) => isDone(facts, release.rolloutId, host));
}

/** Each of its hosts is done and one has shown its health, or an operator said so. */
export function isWaveComplete(facts: Facts, release: Release, wave: number): boolean {
  const { rolloutId } = release;
  if (facts.fleet.rollout(rolloutId)?.advanced.includes(wave) === true) return true;
  const hosts = release.hosts.filter((each) => each.wave === wave);
  return (
    isWaveDone(facts, release, wave) && hosts.some(({ host }) => isProven(facts, rolloutId, host))
  );
}

/** What an edge still has the host wait for, or null: another host that has not shown its health, a channel that is not through. */
export function closedEdge(facts: Facts, release: Release, host: HostName): string | null {
  const { rolloutId, edges, channelEdges, channel } = release;
  const unproven = edges.find(
    ({ gates, gated }) => gated === host && !isProven(facts, rolloutId, gates),
  );
  if (unproven !== undefined) return unproven.gates;
  const { fleet } = facts;
  const isThrough = (gating: Channel): boolean => {
    const current = releasesOf(facts).findLast((each) => each.channel === gating);
    return current === undefined || fleet.rollout(current.rolloutId)?.kind === "Completed";
  };
  const waiting = channelEdges.find(({ gates, gated }) => gated === channel && !isThrough(gates));
  return waiting?.gates ?? null;
}
