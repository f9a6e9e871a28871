import {
  type Envelope,
  type EventKind,
  FIRST_ATTEMPT,
  FleetState,
  foldInput,
  HOST_STATES,
  type HostRollout,
  type HostState,
  nextAttempt,
  nextSeq,
  ROLLOUT_STATES,
  type Rollout,
  transition,
} from "@nixwave/effects";
import { hostName, journal, START } from "../build.ts";
import { releaseOf, setting } from "./setting.ts";
import type { HostCell, RolloutCell, RolloutInputKind, RolloutInputs, Watch } from "./watch.ts";

/** What the worlds should have reached and have not, or have reached although they are said not to. */
export interface Coverage {
  readonly cells: number;
  readonly reached: number;
  readonly unreached: readonly string[];
  readonly stale: readonly string[];
}

type Reasons = { readonly [cell in HostCell | RolloutCell]?: string };

const REOPENED =
  "the planner opens a release once; the cell is for a log that says it again (hazard 23)";
const JOINED =
  "the planner joins hosts only to the newest rollout while it is not halted; otherwise a CP that lost its disk does, from replayed events, and no small world loses its disk";
const UNDER_WAY =
  "retention takes only superseded rollouts (inputs.ts); the cell is for a log of other reducers";
const NOBODY_LEFT =
  "a rollout is pruned only when none of its hosts is under way, and it has no member to make such an input of";
const ENDED =
  "only the channel's newest rollout is planned, and a superseded one has no open dispatch";

/** Cells that no small world reaches, each with its reason. One that is reached after all is stale, and a failure too. */
const UNREACHED: Reasons = {
  "Active × RolloutOpened": REOPENED,
  "Completed × RolloutOpened": REOPENED,
  "Failed × RolloutOpened": REOPENED,
  "Reverted × RolloutOpened": REOPENED,
  "Superseded × RolloutOpened": REOPENED,
  "Pruned × RolloutOpened": REOPENED,
  "Failed × HostJoined": JOINED,
  "Reverted × HostJoined": JOINED,
  "Superseded × HostJoined": JOINED,
  "Pruned × HostJoined": JOINED,
  "Completed × RetentionExpired": UNDER_WAY,
  "Failed × RetentionExpired": UNDER_WAY,
  "Reverted × RetentionExpired": UNDER_WAY,
  "Pruned × RetentionExpired": UNDER_WAY,
  "Completed × RolloutCompleted": "the planner completes a rollout once, from Active",
  "Superseded × SuccessorOpened": "the planner ends a rollout once",
  "Pruned × SuccessorOpened": "the planner ends a rollout once",
  "Superseded × DispatchCancelled": ENDED,
  "Pruned × DispatchCancelled": ENDED,
  "Reverted × HostFound":
    "a lost host is a failure that has not rolled back, so only a forgiven loss leaves a rollout Reverted: two faults and a clearance in one path of two hosts",
  "Pruned × HostStateChanged": NOBODY_LEFT,
  "Pruned × HostSkipped": NOBODY_LEFT,
  "Pruned × HostReturned": NOBODY_LEFT,
  "Pruned × HostLost": NOBODY_LEFT,
  "Pruned × HostFound": NOBODY_LEFT,
  "Pruned × HostForgot": NOBODY_LEFT,
};

const TWO_HOSTS = "needs two hosts and two faults, or three releases: see FULL in worlds.ts";

/** The same for the worlds that are run with every test. */
export const QUICK_ONLY: Reasons = {
  ...UNREACHED,
  "Reverted × HostLost": TWO_HOSTS,
  "Reverted × DispatchCancelled": TWO_HOSTS,
  "Reverted × HostForgot": TWO_HOSTS,
  "Superseded × RetentionExpired": TWO_HOSTS,
};

export function coverageOf(watches: readonly Watch[], reasons: Reasons = UNREACHED): Coverage {
  const reached = new Set<string>(
    watches.flatMap((watch) => [...watch.hostCells, ...watch.rolloutCells]),
  );
  const cells: readonly string[] = [...hostCells(watches), ...rolloutCells()];
  const listed = new Set(Object.keys(reasons));
  return {
    cells: cells.length,
    reached: cells.filter((cell) => reached.has(cell)).length,
    unreached: cells.filter((cell) => !reached.has(cell) && !listed.has(cell)),
    stale: [...listed].filter((cell) => reached.has(cell) || !cells.includes(cell)),
  };
}

/** Asks the table itself, with records and events that the worlds have made: whatever is not illegal there is to be reached. */
function hostCells(watches: readonly Watch[]): readonly HostCell[] {
  const records = new Map<HostState, HostRollout>();
  const events = new Map<EventKind, Envelope>();
  for (const watch of watches) {
    for (const [kind, record] of watch.records) records.set(kind, record);
    for (const [kind, envelope] of watch.events) events.set(kind, envelope);
  }
  return HOST_STATES.flatMap((state) =>
    [...events].flatMap(([kind, envelope]): readonly HostCell[] => {
      const record = records.get(state);
      if (record === undefined) return [];
      const { journalId, lastSeq } = record;
      const { outcome } = transition(record, { ...envelope, journalId, seq: nextSeq(lastSeq) });
      const isIllegal = outcome.kind === "refused" && outcome.code === "illegal-in-state";
      return isIllegal ? [] : [`${state} × ${kind}`];
    }),
  );
}

/** The same for rollouts: one of each state is given one input of each kind, as it would be made there. */
function rolloutCells(): readonly RolloutCell[] {
  const inputs: readonly RolloutInputs[RolloutInputKind][] = Object.values(inputsOf());
  return ROLLOUT_STATES.flatMap((state) =>
    inputs.flatMap((input): readonly RolloutCell[] => {
      const fleet = new FleetState(START);
      fleet.apply({ kind: "ReleaseVerified", release: RELEASE, current: true, at: START });
      fleet.apply({ kind: "RolloutChanged", rollout: rolloutIn(state) });
      const { outcome } = foldInput(fleet, input);
      return outcome.kind === "refused" ? [] : [`${state} × ${input.kind}`];
    }),
  );
}

const CELLS = setting("cells", { releases: 2 });
const RELEASE = releaseOf(CELLS, 0);

function rolloutIn(state: Rollout["kind"]): Rollout {
  const { rolloutId, channel, ref, createdAt } = RELEASE;
  const base = { rolloutId, channel, ref, createdAt, openedAt: START, cursor: 1, advanced: [] };
  const rollout = { ...base, pause: null };
  const halted = { ...rollout, haltedAt: START, cause: "failures" } as const;
  switch (state) {
    case "Active":
      return { ...rollout, kind: "Active" };
    case "Completed":
      return { ...rollout, kind: "Completed", completedAt: START };
    case "Failed":
      return { ...halted, kind: "Failed" };
    case "Reverted":
      return { ...halted, kind: "Reverted" };
    case "Superseded":
      return { ...rollout, kind: "Superseded", supersededAt: START, supersededBy: rolloutId };
    case "Pruned":
      return { ...rollout, kind: "Pruned", prunedAt: START };
  }
}

function inputsOf(): RolloutInputs {
  const { rolloutId, channel, ref, createdAt } = RELEASE;
  const of = { rolloutId, at: START };
  const ofHost = { ...of, host: hostName("a") };
  const who = { by: "ops", reason: "a look" };
  const count = { failures: 1, reverted: 0, maxFailures: 0 };
  const journalId = journal("a");
  const attempt = FIRST_ATTEMPT;
  const again = nextAttempt(attempt);
  const successor = releaseOf(CELLS, 1).rolloutId;
  return {
    RolloutOpened: { ...of, kind: "RolloutOpened", channel, ref, createdAt },
    HostJoined: { ...ofHost, kind: "HostJoined", attempt, journalId, dispatchedAt: START },
    DispatchCancelled: { ...ofHost, kind: "DispatchCancelled", attempt, gate: "paused" },
    HostStateChanged: {
      ...ofHost,
      ...count,
      kind: "HostStateChanged",
      attempt,
      from: "Soaking",
      to: "Failed",
    },
    HostSkipped: { ...ofHost, kind: "HostSkipped", reason: "offline" },
    HostReturned: { ...ofHost, kind: "HostReturned" },
    WaveCompleted: { ...of, kind: "WaveCompleted", wave: 1 },
    RolloutCompleted: { ...of, kind: "RolloutCompleted" },
    SuccessorOpened: { ...of, kind: "SuccessorOpened", successor },
    OperatorPaused: { ...of, ...who, kind: "OperatorPaused", until: null },
    OperatorResumed: { ...of, ...who, kind: "OperatorResumed" },
    OperatorAdvanced: { ...of, ...who, kind: "OperatorAdvanced", wave: 1 },
    OperatorCleared: { ...of, ...who, kind: "OperatorCleared", forgiven: [], attempts: [] },
    OperatorRetried: { ...ofHost, ...who, kind: "OperatorRetried", attempt: again },
    OperatorCancelled: { ...of, ...who, kind: "OperatorCancelled" },
    RetentionExpired: { ...of, kind: "RetentionExpired" },
    HostLost: { ...ofHost, ...count, kind: "HostLost" },
    HostFound: { ...ofHost, ...count, kind: "HostFound" },
    HostForgot: { ...ofHost, kind: "HostForgot", journalId, attempt: again },
  };
}
