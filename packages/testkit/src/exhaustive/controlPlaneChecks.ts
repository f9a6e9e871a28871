import {
  type Dispatch,
  type HostName,
  type Input,
  isInFlight,
  isOpen,
  type Release,
  type RolloutId,
} from "@nixwave/effects";
import type { Turn } from "./controlPlane.ts";
import { CHANNEL, hostsOf, releaseOf } from "./setting.ts";

// What the gates promise, asked of the stored facts in the words of planning.md; no gate, count or index is asked.

function releaseNamed({ world }: Turn, rolloutId: RolloutId): Release | null {
  for (let nth = 0; nth < world.releases; nth += 1) {
    const release = releaseOf(world, nth);
    if (release.rolloutId === rolloutId) return release;
  }
  return null;
}

/** I7 and I8, when it is queued and again when it is handed out. */
export function checkHandOut(
  turn: Turn,
  { host, rolloutId, targetClosure }: Pick<Dispatch, "host" | "rolloutId" | "targetClosure">,
): void {
  const { fleet, watch } = turn;
  const rollout = fleet.rollout(rolloutId);
  const listed = releaseNamed(turn, rolloutId)?.hosts.find((each) => each.host === host);
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
    fleet.newestRollout(CHANNEL)?.rolloutId === rolloutId,
    "I8",
    () => `${host} is dispatched to in a rollout that is not the newest`,
  );
  watch.check(
    listed !== undefined && listed.wave <= (rollout?.cursor ?? 0),
    "I8",
    () => `${host} is dispatched to before its wave is open`,
  );
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

function holdsSlot({ fleet, now }: Turn, host: HostName): boolean {
  return fleet.rolloutsOf(CHANNEL).some(({ rolloutId }) => {
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
  const { fleet, watch } = turn;
  const { rolloutId } = input;
  const release = releaseNamed(turn, rolloutId);
  const rollout = fleet.rollout(rolloutId);
  const waves =
    input.kind === "WaveCompleted" ? [input.wave] : release?.waves.map(({ index }) => index);
  for (const wave of waves ?? []) {
    const hosts = release?.hosts.filter((each) => each.wave === wave) ?? [];
    const isAll = hosts.length > 0 && hosts.every(({ host }) => isDone(turn, rolloutId, host));
    const isShown = hosts.some(({ host }) => isProven(turn, rolloutId, host));
    const isAdvanced = rollout?.advanced.includes(wave) === true;
    const isAllowed = input.kind === "WaveCompleted" ? (isAll && isShown) || isAdvanced : isAll;
    watch.check(isAllowed, "I8", () => `wave ${wave} is taken as complete, and it is not`);
  }
}

function isProven({ fleet, world }: Turn, rolloutId: RolloutId, host: HostName): boolean {
  const record = fleet.record(rolloutId, host);
  if (fleet.marks(rolloutId, host).forgottenAt !== null) return false;
  if (record?.kind === "Converged") return true;
  return record?.kind === "Deferred" && world.policy.deferredCounts === "done";
}

function isDone(turn: Turn, rolloutId: RolloutId, host: HostName): boolean {
  if (isProven(turn, rolloutId, host)) return true;
  const { fleet, world } = turn;
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
