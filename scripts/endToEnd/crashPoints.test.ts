import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DemoHost } from "../demo/declaration.ts";
import { CP, DemoFleet } from "../demo/fleet.ts";
import { ROOT } from "../source.ts";
import { endOf } from "./ends.ts";
import { judge } from "./judge.ts";
import { goodBadFixed, QUICK_RULES } from "./story.ts";
import { supervise } from "./supervisor.ts";

// kill -9 at each named crash point of the real processes. Every agent of the first fleet dies once at a point of its own; the
// control plane of the second dies at each of its points in turn. Both go through good, bad and fixed releases.

const RUN_MS = 400_000;

/** The list as the code has it: a point that is added there is tried here. */
function crashPoints(file: string): readonly string[] {
  const [, list = ""] =
    /CRASH_POINTS = \[([^\]]*)\]/.exec(readFileSync(join(ROOT, file), "utf8")) ?? [];
  return [...list.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name);
}

const AGENT_POINTS = crashPoints("apps/agent/src/crashPoint.ts");
const CP_POINTS = crashPoints("apps/cp/src/crashPoint.ts");

describe.concurrent("kill -9 at each named crash point", { timeout: RUN_MS }, () => {
  test(`agents: ${AGENT_POINTS.length} points, a host for each`, async () => {
    const hosts: readonly DemoHost[] = AGENT_POINTS.map((point) => ({
      name: hostOf(point),
      wave: 1,
      tags: [],
    }));
    const armed = new Map(AGENT_POINTS.map((point) => [hostOf(point), point]));
    const died = new Set<string>();
    await through(hosts, {
      envOf: (name) => (armed.has(name) ? { NIXWAVE_CRASH_AT: armed.get(name) ?? "" } : {}),
      onDeath: (name) => {
        const point = armed.get(name);
        if (point !== undefined) died.add(point);
        armed.delete(name);
      },
    });
    expect(
      AGENT_POINTS.filter((point) => !died.has(point)),
      "points that no agent came to",
    ).toEqual([]);
  });

  test(`control plane: ${CP_POINTS.length} points, one after the other`, async () => {
    const left = [...CP_POINTS];
    let armed = false;
    await through(
      [1, 2, 3].map((number) => ({ name: `web-${number}`, wave: 1, tags: [] })),
      {
        envOf: (name) =>
          name === CP && armed && left[0] !== undefined ? { NIXWAVE_CRASH_AT: `${left[0]}:2` } : {},
        onDeath: (name) => {
          if (name === CP && armed) left.shift();
          armed = true;
        },
        // The first death arms it: a control plane that dies before anyone has met it would prove nothing.
        before: (fleet) => fleet.kill(CP),
      },
    );
    expect(left, "points that the control plane did not come to").toEqual([]);
  });
});

interface Disturbance {
  readonly envOf: (name: string) => Readonly<Record<string, string>>;
  readonly onDeath: (name: string) => void;
  readonly before?: (fleet: DemoFleet) => Promise<void>;
}

/** Good converges everywhere, bad is rolled back by every host (as many may fail as there are), the fix converges. */
async function through(
  hosts: readonly DemoHost[],
  { envOf, onDeath, before }: Disturbance,
): Promise<void> {
  const rules = { ...QUICK_RULES, maxFailures: hosts.length - 1 };
  const fleet = new DemoFleet({ hosts, rules, switchSecs: 0.3, envOf });
  let supervisor: ReturnType<typeof supervise> | null = null;
  try {
    // A process may die before it has said its first word, so it is supervised from its start.
    supervisor = supervise(fleet, onDeath);
    await fleet.start();
    await before?.(fleet);
    const releases = await goodBadFixed(fleet);
    const end = await judge(fleet, releases);
    expect(end).toEqual(endOf(fleet, releases));
    expect(end.rollouts).toEqual({
      "app-1": "Superseded",
      "app-2": "Superseded",
      "app-3": "Completed",
    });
    for (const { name } of hosts) {
      expect(end.mirror[`${name} app-1`], name).toBe(
        `Converged target ${name}-app-1 on ${name}-app-1`,
      );
      expect(end.mirror[`${name} app-2`], name).toBe(
        `Reverted target ${name}-app-2 on ${name}-app-1`,
      );
      expect(end.mirror[`${name} app-3`], name).toBe(
        `Converged target ${name}-app-3 on ${name}-app-3`,
      );
      expect(end.running[name]).toBe(`${name}-app-3`);
    }
  } catch (cause) {
    throw new Error(
      `${cause instanceof Error ? cause.message : String(cause)}\n${fleet.lastWords()}`,
      { cause },
    );
  } finally {
    await supervisor?.stop();
    await fleet.stop();
  }
}

/** A host name from a point's name. */
const hostOf = (point: string): string => point.toLowerCase();
