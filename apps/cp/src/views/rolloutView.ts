import type {
  Explanation,
  FleetState,
  Instant,
  Offset,
  Release,
  Rollout,
  Wave,
} from "@nixwave/effects";
import { instant } from "@nixwave/effects";
import type { HostRow, RolloutView, Shown, WaveView } from "@nixwave/protocol";
import { countShown } from "./hostRow.ts";
import { rolloutSummary, rowsOf } from "./rolloutSummary.ts";

/** Two hosts wait for the same reason if a person would do the same about both. */
function reasonOf({ answer }: Explanation): string {
  if (answer.kind !== "gate") return answer.kind;
  const { block } = answer;
  switch (block.gate) {
    case "budget":
      return `budget ${block.budget}`;
    case "channel-edge":
      return `channel-edge ${block.channel}`;
    case "host-edge":
      return `host-edge ${block.host}`;
    case "frozen":
      return `frozen ${block.freeze.freezeId}`;
    case "refused":
      return `refused ${block.reason}`;
    case "rollout-halted":
    case "replay":
    case "release-unverified":
    case "paused":
    case "channel-conflict":
    case "duplicate-host":
    case "quarantine":
    case "offline":
    case "wave":
    case "host-busy":
      return block.gate;
  }
}

/** Moving hosts hold nobody up by themselves; these do. */
const HELD = [
  "waiting",
  "deferred",
  "failed",
  "reverted",
  "lost",
] as const satisfies readonly Shown[];
const isHeld = (row: HostRow): boolean =>
  HELD.some((shown) => shown === row.shown) && row.explanation.answer.kind !== "queued";

function heldBy(rows: readonly HostRow[]): WaveView["heldBy"] {
  const reasons = new Map<string, { hosts: number; readonly example: Explanation }>();
  for (const { explanation } of rows.filter(isHeld)) {
    const reason = reasonOf(explanation);
    const known = reasons.get(reason);
    if (known === undefined) reasons.set(reason, { hosts: 1, example: explanation });
    else known.hosts += 1;
  }
  return [...reasons.values()].sort((a, b) => b.hosts - a.hosts);
}

/** When the last of the wave's hosts may be done by time alone; null as soon as one of them waits for more than time. */
function earliestOf(rows: readonly HostRow[]): Instant | null {
  let latest: Instant | null = null;
  for (const { shown, explanation } of rows) {
    if (shown === "converged" || shown === "skipped") continue;
    if (explanation.earliest === null) return null;
    latest = instant(Math.max(latest ?? 0, explanation.earliest));
  }
  return latest;
}

interface WaveContext {
  readonly rollout: Rollout;
  readonly tally: { readonly done: number } | undefined;
  readonly completedAt: Instant | null;
  readonly rows: readonly HostRow[];
}

function waveState({ index }: Wave, rollout: Rollout): WaveView["state"] {
  if (rollout.advanced.includes(index)) return "advanced";
  if (index < rollout.cursor) return "complete";
  return index === rollout.cursor ? "open" : "closed";
}

function waveView(wave: Wave, { rollout, tally, completedAt, rows }: WaveContext): WaveView {
  const state = waveState(wave, rollout);
  return {
    index: wave.index,
    description: wave.description,
    soakSecs: wave.soakSecs,
    state,
    completedAt,
    hosts: rows.length,
    done: tally?.done ?? rows.filter(({ shown }) => shown === "converged").length,
    counts: countShown(rows),
    heldBy: heldBy(rows),
    earliest: state === "open" ? earliestOf(rows) : null,
  };
}

/** `completed`: when each wave was completed, as far as the log still says. */
export function rolloutView(
  fleet: FleetState,
  opened: { readonly rollout: Rollout; readonly release: Release },
  at: {
    readonly now: Instant;
    readonly newest: Offset | null;
    readonly completed: ReadonlyMap<number, Instant>;
    readonly beginsAt: Offset;
  },
): RolloutView {
  const { rollout, release } = opened;
  const rows = rowsOf(fleet, release, at.now);
  const tallies = fleet.waves(rollout.rolloutId);
  const waves = release.waves.map((wave) =>
    waveView(wave, {
      rollout,
      tally: tallies.find((tally) => tally.wave === wave.index),
      completedAt: at.completed.get(wave.index) ?? null,
      rows: rows.filter((row) => row.wave === wave.index),
    }),
  );
  const isLacking = waves.some(
    ({ state, completedAt }) => state === "complete" && completedAt === null,
  );
  return {
    now: at.now,
    newest: at.newest,
    rollout: rolloutSummary(fleet, opened, at.now),
    policy: release.policy,
    waves,
    budgets: release.budgets.map(({ name, hosts, maxInFlight }) => ({
      name,
      hosts: hosts.length,
      held: fleet.holders(name).length,
      maxInFlight,
    })),
    logBeginsAt: isLacking && at.beginsAt > 0 ? at.beginsAt : null,
  };
}
