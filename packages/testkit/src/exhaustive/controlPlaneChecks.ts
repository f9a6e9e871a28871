import {
  type Dispatch,
  type HostName,
  type Input,
  isInFlight,
  isOpen,
  type RolloutId,
} from "@nixwave/effects";
import type { Turn } from "./controlPlane.ts";
import { closedEdge, isWaveComplete, isWaveDone, releaseNamed } from "./facts.ts";
import { channelsOf, hostsOf } from "./setting.ts";

// What the gates promise, asked of the stored facts in the words of planning.md; no gate, count or index is asked.

/** I7 and I8, when it is queued and again when it is handed out. */
export function checkHandOut(
  turn: Turn,
  { host, rolloutId, targetClosure }: Pick<Dispatch, "host" | "rolloutId" | "targetClosure">,
): void {
  const { fleet, watch } = turn;
  const rollout = fleet.rollout(rolloutId);
  const release = releaseNamed(turn, rolloutId);
  const listed = release?.hosts.find((each) => each.host === host);
  const edge = release === null ? null : closedEdge(turn, release, host);
  watch.check(
    !turn.quarantined.has(targetClosure),
    "I7",
    () => `${targetClosure} is quarantined, and handed to ${host}`,
  );
  watch.check(
    rollout !== null && (rollout.kind === "Active" || rollout.kind === "Completed"),
    "I8",
    () => `${host} is dispatched to in a rollout that is ${rollout?.kind ?? "not opened"}`,
  );
  watch.check(
    rollout?.pause === null && fleet.freezes().length === 0,
    "I8",
    () => `${host} is dispatched to under a pause or a freeze`,
  );
  watch.check(
    release !== null && fleet.newestRollout(release.channel)?.rolloutId === rolloutId,
    "I8",
    () => `${host} is dispatched to in a rollout that is not the newest`,
  );
  watch.check(
    listed !== undefined && listed.wave <= (rollout?.cursor ?? 0),
    "I8",
    () => `${host} is dispatched to before its wave is open`,
  );
  watch.check(edge === null, "I8", () => `${host} is dispatched to, and an edge holds it: ${edge}`);
}

/** I7, I8 and I9: asked right before the dispatch is queued. */
export function checkQueued(turn: Turn, host: HostName, rolloutId: RolloutId): void {
  const { watch, world } = turn;
  const release = releaseNamed(turn, rolloutId);
  const targetClosure = release?.hosts.find((each) => each.host === host)?.closure;
  if (targetClosure !== undefined) checkHandOut(turn, { host, rolloutId, targetClosure });
  const { maxInFlight } = world;
  if (maxInFlight === null) return;
  const others = hostsOf(world).filter((other) => other !== host && holdsSlot(turn, other));
  watch.check(
    others.length < maxInFlight,
    "I9",
    () => `${host} is dispatched to while ${others.join(", ")} hold all ${maxInFlight} slots`,
  );
}

function holdsSlot({ fleet, now, world }: Turn, host: HostName): boolean {
  const rollouts = channelsOf(world).flatMap((channel) => fleet.rolloutsOf(channel));
  return rollouts.some(({ rolloutId }) => {
    const marks = fleet.marks(rolloutId, host);
    if (marks.lostAt !== null || marks.skippedAt !== null) return false;
    const dispatch = fleet.dispatch(rolloutId, host);
    if (dispatch !== null && isOpen(dispatch)) return true;
    const isWithdrawn = dispatch?.state === "cancelled" || dispatch?.state === "superseded";
    const isLeased = isWithdrawn && dispatch.leaseUntil !== null && now < dispatch.leaseUntil;
    if (isLeased) return true;
    const record = fleet.record(rolloutId, host);
    return record !== null && marks.forgottenAt === null && isInFlight(record);
  });
}

/** I8: the cursor leaves a wave only if each of its hosts is done and one has shown its health, or an operator said so. */
export function checkWave(turn: Turn, input: Input): void {
  if (input.kind !== "WaveCompleted" && input.kind !== "RolloutCompleted") return;
  const release = releaseNamed(turn, input.rolloutId);
  const waves =
    input.kind === "WaveCompleted" ? [input.wave] : release?.waves.map(({ index }) => index);
  const isTrue = input.kind === "WaveCompleted" ? isWaveComplete : isWaveDone;
  for (const wave of waves ?? []) {
    const isAllowed = release !== null && isTrue(turn, release, wave);
    turn.watch.check(isAllowed, "I8", () => `wave ${wave} is taken as complete, and it is not`);
  }
}
