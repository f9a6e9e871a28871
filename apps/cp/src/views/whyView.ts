import type {
  Answer,
  FleetState,
  HostName,
  Instant,
  Offset,
  OutboundAgentEvent,
} from "@nixwave/effects";
import type { WhyView } from "@nixwave/protocol";
import { failureOf } from "./failure.ts";
import { hostRow } from "./hostRow.ts";
import { rolloutOf, rolloutSummary } from "./rolloutSummary.ts";

/** As many as fit on a screen beside the rest of the answer. */
const MENTIONS_MAX = 16;

/** Less is what a network and a slow answer make. */
const SKEW_TOLD_SECS = 30;

function skewOf(fleet: FleetState, host: HostName): number | null {
  const skew = fleet.host(host)?.report?.clockSkewSecs ?? null;
  return skew !== null && Math.abs(skew) > SKEW_TOLD_SECS ? skew : null;
}

/** The hosts that the evidence names. */
function mentioned(answer: Answer): readonly HostName[] {
  if (answer.kind !== "gate") return [];
  const { block } = answer;
  switch (block.gate) {
    case "budget":
      return block.holders;
    case "rollout-halted":
      return block.hosts;
    case "host-edge":
      return [block.host];
    case "replay":
    case "release-unverified":
    case "paused":
    case "frozen":
    case "channel-conflict":
    case "duplicate-host":
    case "quarantine":
    case "offline":
    case "refused":
    case "channel-edge":
    case "wave":
    case "host-busy":
      return [];
  }
}

/** Why the host is where it is: the gates' own answer, and what the log knows beside it (hazard 72). */
export function whyView(
  fleet: FleetState,
  on: {
    readonly host: HostName;
    readonly events: readonly OutboundAgentEvent[];
    readonly logBeginsAt: Offset | null;
  },
  now: Instant,
): WhyView {
  const { host, events, logBeginsAt } = on;
  const row = hostRow(fleet, { host, release: null }, now);
  const { explanation } = row;
  const { rolloutId } = explanation;
  const opened = rolloutId === null ? null : rolloutOf(fleet, rolloutId);
  const record = rolloutId === null ? null : fleet.record(rolloutId, host);
  return {
    now,
    explanation,
    row,
    mentions: mentioned(explanation.answer)
      .slice(0, MENTIONS_MAX)
      .map((name) => hostRow(fleet, { host: name, release: null }, now)),
    failure: failureOf(record, events),
    waitsFor:
      explanation.answer.kind === "activating"
        ? (fleet.host(host)?.report?.waitsFor ?? null)
        : null,
    events: events.length,
    quarantined:
      row.channel !== null &&
      row.targetClosure !== null &&
      fleet.quarantinedSince(row.channel, row.targetClosure) !== null,
    rollout: opened === null ? null : rolloutSummary(fleet, opened, now),
    clockSkewSecs: skewOf(fleet, host),
    logBeginsAt,
  };
}
