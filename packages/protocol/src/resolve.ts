import {
  type Channel,
  type ChannelEdge,
  err,
  type Instant,
  ok,
  type Policy,
  type Release,
  type Result,
  type Wave,
} from "@nixwave/effects";
import {
  budgetsIn,
  budgetsOf,
  edgesOf,
  type FleetBudget,
  refuseCycle,
  warnOfSlowBudgets,
} from "./constraints.ts";
import type { Declaration, Fleet } from "./fleet.ts";
import { type Member, membersOf, Notes } from "./members.ts";
import type { Finding } from "./placed.ts";
import { DEFAULT_POLICY, DEFAULT_SOAK_SECS } from "./policy.ts";
import { type WrittenRelease, writeRelease } from "./releaseFiles.ts";
import { didYouMean } from "./suggestion.ts";

/** What a release says of itself beside the declaration. */
export interface About {
  readonly revision: string | null;
  readonly createdAt: Instant;
  readonly createdBy: string;
  readonly note: string;
}

/** One release per declared channel, by name, and what a person should know before publishing them. */
export interface Resolution {
  readonly releases: readonly WrittenRelease[];
  readonly warnings: readonly Finding[];
}

/**
 * Resolves a declaration: selectors to hosts, percentages to numbers, defaults to policies, so that a release says all
 * of it. The error is every refusal, in the order of the file; then nothing is released, of no channel.
 */
export function resolve(
  { fleet, placed }: Declaration,
  about: About,
): Result<Resolution, readonly Finding[]> {
  const notes = new Notes(placed);
  const members = membersOf(fleet, notes);
  const everyone = [...members.values()].flat();
  const channelEdges = channelEdgesOf(fleet, notes);
  const budgets = budgetsOf(fleet, everyone, notes);
  const edges = edgesOf(fleet, everyone, notes);
  const contents = [...members].map(([channel, hosts]) => {
    const waves = wavesOf(fleet, channel);
    warnOfSlowBudgets({ channel, waves, members: hosts }, budgets, notes);
    return contentOf({ fleet, channel, hosts, waves, channelEdges, budgets, edges }, about);
  });
  if (notes.refusals.length > 0) return err(notes.refusals.sort((a, b) => a.line - b.line));
  return ok({
    releases: contents.map(writeRelease),
    warnings: notes.warnings.sort((a, b) => a.line - b.line),
  });
}

interface ChannelPart {
  readonly fleet: Fleet;
  readonly channel: Channel;
  readonly hosts: readonly Member[];
  readonly waves: readonly Wave[];
  readonly channelEdges: readonly ChannelEdge[];
  readonly budgets: readonly FleetBudget[];
  readonly edges: Release["edges"];
}

function contentOf(part: ChannelPart, about: About): Omit<Release, "rolloutId" | "ref"> {
  const { channel, hosts, waves } = part;
  const own = new Set<string>(hosts.map(({ host }) => host));
  return {
    ...about,
    channel,
    waves,
    policy: policyOf(part.fleet, channel),
    channelEdges: part.channelEdges.filter(({ gated }) => gated === channel),
    hosts: hosts.map(({ host, system, closure, wave, tags, closureDigest }) => ({
      host,
      system,
      closure,
      wave,
      tags,
      closureDigest,
    })),
    budgets: budgetsIn(channel, part.budgets),
    edges: part.edges.filter(({ gated }) => own.has(gated)),
  };
}

const wavesOf = (fleet: Fleet, channel: Channel): Wave[] =>
  (fleet.channels[channel]?.waves ?? []).map(
    ({ soakSecs = DEFAULT_SOAK_SECS, description }, at) => ({
      index: at + 1,
      soakSecs,
      description,
    }),
  );

function policyOf(fleet: Fleet, channel: Channel): Policy {
  const said = fleet.channels[channel]?.policy ?? {};
  return {
    onHealthFailure: said.onHealthFailure ?? DEFAULT_POLICY.onHealthFailure,
    healthFailureThresholdSecs:
      said.healthFailureThresholdSecs ?? DEFAULT_POLICY.healthFailureThresholdSecs,
    activationTimeoutSecs: said.activationTimeoutSecs ?? DEFAULT_POLICY.activationTimeoutSecs,
    realiseTimeoutSecs: said.realiseTimeoutSecs ?? DEFAULT_POLICY.realiseTimeoutSecs,
    rollbackTimeoutSecs: said.rollbackTimeoutSecs ?? DEFAULT_POLICY.rollbackTimeoutSecs,
    probeReportSecs: said.probeReportSecs ?? DEFAULT_POLICY.probeReportSecs,
    lostSecs: said.lostSecs ?? DEFAULT_POLICY.lostSecs,
    offlineGraceSecs: said.offlineGraceSecs ?? DEFAULT_POLICY.offlineGraceSecs,
    maxFailures: said.maxFailures ?? DEFAULT_POLICY.maxFailures,
    deferredCounts: said.deferredCounts ?? DEFAULT_POLICY.deferredCounts,
  };
}

function channelEdgesOf(fleet: Fleet, notes: Notes): readonly ChannelEdge[] {
  const channels = Object.keys(fleet.channels);
  for (const [index, edge] of fleet.channelEdges.entries()) {
    for (const end of ["gates", "gated"] as const) {
      if (channels.includes(edge[end])) continue;
      notes.refuse(
        ["channelEdges", index, end],
        `channel edge ${index + 1} names channel ${JSON.stringify(edge[end])}, which is not declared.${didYouMean(edge[end], channels)}`,
      );
    }
  }
  const indexOf = (arrow: { gates: Channel; gated: Channel }) =>
    fleet.channelEdges.findIndex(
      ({ gates, gated }) => gates === arrow.gates && gated === arrow.gated,
    );
  refuseCycle(fleet.channelEdges, (arrow) => ["channelEdges", indexOf(arrow)], notes);
  return fleet.channelEdges;
}
