import { AGENT_CRASH_POINTS } from "@nixwave/agent";
import { CP_CRASH_POINTS } from "@nixwave/cp";

/** What ends a process at a place: the process alone, or the whole machine with what its disk had not synced. */
export type Fault = "kill -9" | "power cut";

/** Where a process is to end. */
export interface Place {
  readonly side: "agent" | "cp";
  readonly point: string;
  /** Which time it comes to the point, from 1. */
  readonly nth: number;
  /**
   * The power goes while the commit before the point is being written. Only where nobody can have seen that commit yet, so
   * that a process that was killed behind it stands for one that never came to its end.
   */
  readonly within: boolean;
}

export type Random = (below: number) => number;

/** Every input, every line or every batch comes by here, so the pass may be any of the first few. */
const OFTEN_PASSED: ReadonlySet<string> = new Set([
  "before-commit",
  "after-commit",
  "before-perform-EmitMetric",
  "after-perform-EmitMetric",
  "before-perform-EmitLog",
  "after-perform-EmitLog",
  "before-sent-mark",
  "before-post",
  "after-answer",
]);
const OFTEN = 6;

/** The sent-mark before its POST, and the acknowledgement before the switch that it is owed. */
const WITHIN_AGENT = ["before-post", "before-perform-LocalFireSwitch"] as const;
/** A batch before its answers. */
const WITHIN_CP = ["after-commit"] as const;

/** A place for each crash point that the agent's code names, and for the commits that a power cut can tear. */
export function agentPlaces(fault: Fault, random: Random): readonly Place[] {
  const nthOf = (point: string): number => 1 + (OFTEN_PASSED.has(point) ? random(OFTEN) : 0);
  const at = (point: string, within: boolean): Place => ({
    side: "agent",
    point,
    // Later on a switch is owed after a restart too, and then not by the commit before it.
    nth: within && point === "before-perform-LocalFireSwitch" ? 1 : nthOf(point),
    within,
  });
  return [
    ...AGENT_CRASH_POINTS.map((point) => at(point, false)),
    ...(fault === "power cut" ? WITHIN_AGENT.map((point) => at(point, true)) : []),
  ];
}

/** The same for the control plane, which comes by each of its points with each commit or each batch. */
export function controlPlanePlaces(fault: Fault, random: Random): readonly Place[] {
  const at = (point: string, within: boolean): Place => ({
    side: "cp",
    point,
    nth: 1 + random(3),
    within,
  });
  return [
    ...CP_CRASH_POINTS.map((point) => at(point, false)),
    ...(fault === "power cut" ? WITHIN_CP.map((point) => at(point, true)) : []),
  ];
}

export const planOf = ({ point, nth }: Place): string => `${point}:${nth}`;

/** A host's name for an agent's place. */
export const hostOf = ({ point, within }: Place): string =>
  `${point.toLowerCase()}${within ? "-within" : ""}`;
