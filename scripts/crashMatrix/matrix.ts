import type { DemoHost } from "../demo/declaration.ts";
import { CP } from "../demo/fleet.ts";
import { endOfHost } from "../endToEnd/ends.ts";
import { randomFrom } from "../endToEnd/random.ts";
import { Agenda } from "./agenda.ts";
import { type Death, Reaper } from "./death.ts";
import {
  agentPlaces,
  controlPlanePlaces,
  type Fault,
  hostOf,
  type Place,
  planOf,
} from "./places.ts";
import { type Ran, throughStory, type Undisturbed } from "./run.ts";

/** What came of one place and one fault. */
export interface Finding {
  readonly place: Place;
  readonly fault: Fault;
  /** Null: no process came to the place. */
  readonly death: Death | null;
  /** What is wrong, by where it shows; all empty where all is well. */
  readonly ended: readonly string[];
  readonly unclean: readonly string[];
  readonly streams: readonly string[];
}

interface Options {
  readonly fault: Fault;
  readonly seed: number;
  readonly undisturbed: Undisturbed;
  readonly stop: AbortSignal;
}

const hostNamed = (name: string): DemoHost => ({ name, wave: 1, tags: [] });

/** Every agent of a fleet dies once, at a place of its own. */
export async function agentFindings(options: Options): Promise<readonly Finding[]> {
  const random = randomFrom(options.seed);
  const places = agentPlaces(options.fault, random);
  const armed = new Map(places.map((place) => [hostOf(place), place]));
  const deaths = new Map<Place, Death>();
  const reaper = new Reaper(options.fault, random);
  try {
    const ran = await throughStory({
      hosts: places.map((place) => hostNamed(hostOf(place))),
      envOf: (name) => {
        const place = armed.get(name);
        return place === undefined ? {} : reaper.envFor(name, planOf(place));
      },
      onDeath: (name, ended, fleet) => {
        const place = armed.get(name);
        if (place === undefined) throw new Error(`${name} ended a second time, by itself`);
        armed.delete(name);
        deaths.set(place, reaper.examine(place, name, ended, fleet));
      },
      stop: options.stop,
    });
    return places.map((place) => {
      const host = hostOf(place);
      return finding(place, { death: deaths.get(place) ?? null, hosts: [host], ran, ...options });
    });
  } finally {
    reaper.close();
  }
}

const CP_HOSTS: readonly string[] = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `web-${number}`);

/** One control plane dies at each of its places in turn. */
export async function controlPlaneFindings(options: Options): Promise<readonly Finding[]> {
  const random = randomFrom(options.seed);
  const places = controlPlanePlaces(options.fault, random);
  const reaper = new Reaper(options.fault, random);
  const agenda = new Agenda(places);
  const deaths = new Map<Place, Death>();
  try {
    const ran = await throughStory({
      hosts: CP_HOSTS.map(hostNamed),
      envOf: (name) => {
        const place = name === CP ? agenda.next() : null;
        return place === null ? {} : reaper.envFor(name, planOf(place));
      },
      onDeath: (name, ended, fleet) => {
        if (name !== CP) throw new Error(`${name} ended by itself`);
        const place = agenda.died();
        if (place !== null) deaths.set(place, reaper.examine(place, name, ended, fleet));
      },
      chapters: agenda,
      // An agent that was answered in between does not wait longer after each death.
      pollWaitSecs: 1,
      stop: options.stop,
    });
    return places.map((place) =>
      finding(place, { death: deaths.get(place) ?? null, hosts: CP_HOSTS, ran, ...options }),
    );
  } finally {
    reaper.close();
  }
}

interface Seen extends Options {
  readonly death: Death | null;
  /** The hosts that this death may have hurt. */
  readonly hosts: readonly string[];
  readonly ran: Ran;
}

function finding(place: Place, { fault, death, hosts, ran, undisturbed }: Seen): Finding {
  const { end, streams, unclean } = ran.judged;
  const ended = hosts.flatMap((host) => differences(endOfHost(end, host), undisturbed.host));
  const rollouts = differences(end.rollouts, undisturbed.rollouts);
  return {
    place,
    fault,
    death,
    ended: [...ended, ...rollouts],
    unclean: [...(death?.damage ?? []), ...unclean],
    streams: [
      ...(death?.faults ?? []),
      ...(death === null ? [] : ran.lost(death.seen)),
      ...streams.filter(({ host }) => hosts.includes(host)).map(({ what }) => what),
    ],
  };
}

function differences(
  found: Readonly<Record<string, string>>,
  expected: Readonly<Record<string, string>>,
): readonly string[] {
  const keys = [...new Set([...Object.keys(expected), ...Object.keys(found)])];
  return keys
    .filter((key) => found[key] !== expected[key])
    .map((key) => `${key.trim()} is ${found[key]}, expected ${expected[key]}`);
}

/** A sentence for each thing that is not as it must be. */
export const faultsOf = ({ place, fault, death, ended, unclean, streams }: Finding) =>
  [
    ...(death === null ? ["no process came to it"] : []),
    ...ended.map((what) => `it ended otherwise: ${what}`),
    ...unclean,
    ...streams,
  ].map(
    (what) => `${place.side} ${planOf(place)}${place.within ? " (within)" : ""}, ${fault}: ${what}`,
  );
