import type { RolloutId } from "@nixwave/effects";
import type { DemoHost } from "../demo/declaration.ts";
import { DemoFleet } from "../demo/fleet.ts";
import type { Ended } from "../demo/process.ts";
import { endOfHost, type FleetEnd, type Releases } from "../endToEnd/ends.ts";
import { type Judged, judged } from "../endToEnd/judged.ts";
import { hasState, QUICK_RULES, reached, sickOn } from "../endToEnd/story.ts";
import { logOf } from "../endToEnd/streams.ts";
import { supervise } from "../endToEnd/supervisor.ts";
import type { Death } from "./death.ts";

/** Who dies where in one run of the story: a fleet of its own that goes through a good, a bad and a fixed release. */
export interface Disturbance {
  readonly hosts: readonly DemoHost[];
  readonly envOf: (name: string, fleet: DemoFleet) => Readonly<Record<string, string>>;
  /** Called before the process is started again. */
  readonly onDeath: (name: string, ended: Ended | null, fleet: DemoFleet) => void;
  /** Told where the story is, before it goes on. */
  readonly chapters?: Chapters;
  readonly pollWaitSecs?: number;
  readonly stop: AbortSignal;
}

interface Chapters {
  readonly begins: (fleet: DemoFleet) => Promise<void>;
  readonly released: (fleet: DemoFleet, rolloutId: RolloutId) => Promise<void>;
  readonly ended: (fleet: DemoFleet, isLast: boolean) => Promise<void>;
}

export interface Ran {
  readonly judged: Judged;
  /** Lines that were seen before a power cut and are another line, or none, at the end: `seen` → what is wrong. */
  readonly lost: (seen: Death["seen"]) => readonly string[];
}

const SWITCH_SECS = 0.5;

const STORY = [
  { version: "app-1", sick: false, state: "Completed" },
  { version: "app-2", sick: true, state: "Reverted" },
  { version: "app-3", sick: false, state: "Completed" },
] as const;

async function tell(fleet: DemoFleet, chapters: Chapters | undefined): Promise<Releases> {
  const releases = new Map<string, RolloutId>();
  const hosts = fleet.hosts.map(({ name }) => name);
  for (const [index, { version, sick, state }] of STORY.entries()) {
    await chapters?.begins(fleet);
    const id = await fleet.release({ version, ...sickOn(sick ? hosts : []) });
    releases.set(version, id);
    await chapters?.released(fleet, id);
    await reached(fleet, id, `${version} ${state}`, hasState(state));
    await chapters?.ended(fleet, index === STORY.length - 1);
  }
  return releases;
}

/** Good converges everywhere, bad is rolled back by every host (as many may fail as there are), the fix converges. */
export async function throughStory(disturbance: Disturbance): Promise<Ran> {
  const { hosts, envOf, onDeath, chapters, stop } = disturbance;
  const rules = { ...QUICK_RULES, maxFailures: hosts.length - 1 };
  const fleet: DemoFleet = new DemoFleet({
    hosts,
    rules,
    switchSecs: SWITCH_SECS,
    pollWaitSecs: disturbance.pollWaitSecs ?? 30,
    envOf: (name) => envOf(name, fleet),
    stop,
  });
  let supervisor: ReturnType<typeof supervise> | null = null;
  try {
    // A process may die before it has said its first word, so it is supervised from its start.
    supervisor = supervise(fleet, (name, ended) => {
      onDeath(name, ended, fleet);
    });
    const end = await Promise.race([supervisor.broken, story(fleet, chapters)]);
    const { lines } = logOf(fleet);
    return {
      judged: end,
      lost: (seen) =>
        [...seen]
          .filter(([key, hash]) => lines.get(key) !== hash)
          .map(
            ([key]) =>
              `${key} was sent once, and the log has ${lines.has(key) ? "another" : "no"} line there`,
          ),
    };
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${what}\n${fleet.lastWords()}`, { cause });
  } finally {
    await supervisor?.stop();
    await fleet.stop();
  }
}

async function story(fleet: DemoFleet, chapters: Chapters | undefined): Promise<Judged> {
  await fleet.start();
  return judged(fleet, await tell(fleet, chapters));
}

const PLAIN: DemoHost = { name: "web-1", wave: 1, tags: [] };

/** How a host and its rollouts end when nobody dies; all hosts of the story end alike. */
export interface Undisturbed {
  readonly rollouts: FleetEnd["rollouts"];
  readonly host: Readonly<Record<string, string>>;
}

export async function undisturbed(stop: AbortSignal): Promise<Undisturbed> {
  const { judged: found } = await throughStory({
    hosts: [PLAIN, { ...PLAIN, name: "web-2" }],
    envOf: () => ({}),
    onDeath: (name, ended) => {
      throw new Error(`${name} ended by itself: ${JSON.stringify(ended)}`);
    },
    stop,
  });
  return { rollouts: found.end.rollouts, host: endOfHost(found.end, PLAIN.name) };
}
