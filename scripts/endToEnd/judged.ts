import type { DemoFleet } from "../demo/fleet.ts";
import { endOf, type FleetEnd, type Releases } from "./ends.ts";
import { settled } from "./story.ts";
import { type Journaled, journalDamage, journalOf, type Logged, logOf } from "./streams.ts";

/** What is wrong with a host's streams or records. */
interface StreamFault {
  readonly host: string;
  readonly what: string;
}

export interface Judged {
  readonly end: FleetEnd;
  /** Journals and log hold the same numbers, each once and each the same line; mirror and journal agree. */
  readonly streams: readonly StreamFault[];
  /** The database follows from its log, and no file is damaged. */
  readonly unclean: readonly string[];
}

/** Judged from the database, the journals and the links, never from log output. */
export async function judged(fleet: DemoFleet, releases: Releases): Promise<Judged> {
  await settled(fleet, () => {
    const { last } = logOf(fleet);
    return fleet.hosts.every(({ name }) =>
      Object.entries(journalOf(fleet, name).last).every(([stream, seq]) => last[stream] === seq),
    );
  });
  const logged = logOf(fleet);
  const journals = fleet.hosts.map(({ name }) => ({ host: name, journal: journalOf(fleet, name) }));
  const end = endOf(fleet, releases);
  const found = await fleet.check();
  return {
    end,
    streams: [
      ...journals.flatMap(({ host, journal }) =>
        streamFaults(host, journal, logged).map((what) => ({ host, what })),
      ),
      ...Object.entries(end.journal)
        .filter(([host, record]) => end.mirror[host] !== record)
        .map(([key, record]) => ({
          host: key.split(" ")[0] ?? "",
          what: `${key}: the journal says ${record}, the mirror ${end.mirror[key]} (I4)`,
        })),
    ],
    unclean: [
      ...(found === null ? [] : [found]),
      ...fleet.hosts.flatMap(({ name }) =>
        journalDamage(fleet, name).map((what) => `${name}: ${what}`),
      ),
    ],
  };
}

function streamFaults(host: string, journal: Journaled, logged: Logged): readonly string[] {
  const { lines, last } = journal;
  return [
    ...(lines.size === 0 ? [`${host} keeps no line of its newest rollout`] : []),
    ...logged.twice
      .filter((key) => key.startsWith(`${host} `))
      .map((key) => `${key} is in the log twice (I6)`),
    ...[...lines]
      .filter(([key, hash]) => logged.lines.get(key) !== hash)
      .map(([key]) =>
        logged.lines.has(key)
          ? `${key} is another line in the log than in the journal (I6)`
          : `${key} is not in the log (I6)`,
      ),
    ...Object.entries(last)
      .filter(([stream, seq]) => logged.last[stream] !== seq)
      .map(
        ([stream, seq]) =>
          `${stream} ends with ${seq} in the journal and with ${logged.last[stream] ?? 0} in the log`,
      ),
  ];
}
