import type { Process, Timer } from "../ports.ts";
import { listFailedUnits } from "./systemdCheck.ts";
import { tcpCheck } from "./tcpCheck.ts";

/** Somebody whom the host could reach before the switch, and so must be able to reach after it. */
export interface ReachTarget {
  readonly host: string;
  readonly port: number;
}

/** What was so before the switch, and can't be asked afterwards. */
export interface Found {
  /** Null: systemd could not be asked, so that no failed unit is excused. */
  readonly failedUnits: readonly string[] | null;
  /** `host:port` of those that took a connection. */
  readonly answered: readonly string[];
}

export interface BaselineParts {
  readonly process: Process;
  readonly timer: Timer;
  readonly env: Readonly<Record<string, string>>;
  readonly reach: readonly ReachTarget[];
}

const CONNECT_TIMEOUT_SECS = 5;

export const reachName = ({ host, port }: ReachTarget): string => `${host}:${port}`;

/** Never rejects: a switch must not wait for what only tells how it went. */
export async function takeBaseline(parts: BaselineParts, signal: AbortSignal): Promise<Found> {
  const [failed, answered] = await Promise.all([listFailedUnits(parts), answering(parts, signal)]);
  return { failedUnits: failed.ok ? failed.value : null, answered };
}

/** All at once; whoever takes a connection within a few seconds answers. */
export async function answering(
  { reach, timer }: Pick<BaselineParts, "reach" | "timer">,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const outcomes = await Promise.all(
    reach.map(async (target) => {
      const check = tcpCheck({ ...target, timeoutSecs: CONNECT_TIMEOUT_SECS }, timer);
      return (await check(signal)).status === "pass" ? [reachName(target)] : [];
    }),
  );
  return outcomes.flat();
}
