import {
  explainHost,
  type FleetState,
  type HostName,
  type Instant,
  type OutboundAgentEvent,
  type RolloutId,
} from "@nixwave/effects";
import {
  decodeLine,
  type HostRow,
  matcher,
  parseSelector,
  type Shown,
  type WhyView,
} from "@nixwave/protocol";
import type { Writer } from "../loop.ts";
import type { Clock } from "../ports.ts";
import type { Reader, StoredTransition } from "../store/reader.ts";
import { hostRow } from "../views/hostRow.ts";
import { hostView } from "../views/hostView.ts";
import { beginsAfter, eventsPage, readAll } from "../views/logLines.ts";
import { mapPage, type Page, type PageAsk, page } from "../views/page.ts";
import { quarantineView } from "../views/quarantineView.ts";
import { everyHost, isKnown } from "../views/releaseHost.ts";
import { type RepositoryHealth, repositoryStatus } from "../views/repositoryStatus.ts";
import { rolloutOf, rolloutSummary } from "../views/rolloutSummary.ts";
import { rolloutView } from "../views/rolloutView.ts";
import { channelStatus, statusView } from "../views/statusView.ts";
import { whyView } from "../views/whyView.ts";
import type { OperatorHandlers } from "./handlers.ts";
import { ProblemError } from "./problemError.ts";
import type { StreamReaders } from "./streamReaders.ts";
import type { UnitLogs } from "./unitLogs.ts";

export interface ReadPorts {
  readonly writer: Writer;
  readonly reader: Reader;
  readonly unitLogs: UnitLogs;
  readonly streams: StreamReaders;
  readonly clock: Clock;
  readonly repository: RepositoryHealth;
  readonly metrics: () => Promise<string>;
}

type ReadName = Extract<keyof OperatorHandlers, `get${string}`>;
export type OperatorReads = Pick<OperatorHandlers, ReadName>;

/** A host's events in one rollout, a rollout's inputs: some hundreds. More than this would keep the writer waiting. */
const LINES_READ_MAX = 10_000;
/** Of one host, over all rollouts. */
const TRANSITIONS_READ_MAX = 10_000;
const EVENTS_LIMIT_DEFAULT = 100;

/** The rollout with its release, or the 404 that says what to do. */
export function knownRollout(fleet: FleetState, rolloutId: RolloutId) {
  const opened = rolloutOf(fleet, rolloutId);
  if (opened !== null) return opened;
  throw ProblemError.of(
    "not-found",
    `${rolloutId}: there is no such rollout; nixwave status lists them.`,
  );
}

export function refuseUnknownHost(fleet: FleetState, host: HostName): void {
  if (isKnown(fleet, host)) return;
  throw ProblemError.of(
    "not-found",
    `${host}: this host was never heard of and is in no release; nixwave hosts lists them.`,
  );
}

/** A host's events in a rollout, the oldest first, of whatever journal; lines that were refused are not among them. */
function eventsOf(
  reader: Reader,
  on: { readonly host: HostName; readonly rolloutId: RolloutId | null },
): readonly OutboundAgentEvent[] {
  if (on.rolloutId === null) return [];
  const filter = { host: on.host, rolloutId: on.rolloutId, kind: "AgentEvent" };
  return readAll(reader, filter, { max: LINES_READ_MAX }).flatMap((line) => {
    if (line.kind !== "AgentEvent") return [];
    const read = decodeLine(line.line);
    return read.ok ? [read.value.event] : [];
  });
}

/** Why a host is where it is, with what the log still has of how it came there. */
export function whyOf(
  { writer, reader, clock }: Pick<ReadPorts, "writer" | "reader" | "clock">,
  host: HostName,
): WhyView {
  const fleet = writer.fleet();
  const now = clock.now();
  const { rolloutId } = explainHost(fleet, host, now);
  const [first] =
    rolloutId === null ? [] : reader.transitions({ host, rolloutId, after: null, limit: 1 });
  const logBeginsAt = beginsAfter(reader, first?.offset ?? null);
  return whyView(fleet, { host, events: eventsOf(reader, { host, rolloutId }), logBeginsAt }, now);
}

/** When each wave was completed, as far as the log says it. */
function completedWaves(reader: Reader, rolloutId: RolloutId): ReadonlyMap<number, Instant> {
  const completed = new Map<number, Instant>();
  for (const line of readAll(
    reader,
    { rolloutId, kind: "RolloutInput" },
    { max: LINES_READ_MAX },
  )) {
    if (line.kind === "RolloutInput" && line.input.kind === "WaveCompleted") {
      completed.set(line.input.wave, line.input.at);
    }
  }
  return completed;
}

interface HostFilter {
  readonly on?: string | undefined;
  readonly shown?: Shown | undefined;
}

/** One page of hosts. Rows are made for the page only, unless the filter needs to see them all. */
function hostPage(
  rows: { readonly hosts: readonly HostName[]; readonly rowOf: (host: HostName) => HostRow },
  filter: HostFilter,
  ask: PageAsk,
): Page<HostRow> {
  const { hosts, rowOf } = rows;
  if (filter.on === undefined && filter.shown === undefined) {
    return mapPage(page(hosts, String, ask), rowOf);
  }
  const selector = filter.on === undefined ? null : parseSelector(filter.on);
  if (selector !== null && !selector.ok) {
    throw ProblemError.of("bad-request", `query.on: ${selector.error}.`);
  }
  const isSelected = selector === null ? () => true : matcher(selector.value);
  const chosen = hosts.map(rowOf).filter((row) => {
    const isShown = filter.shown === undefined || row.shown === filter.shown;
    return isShown && isSelected(row);
  });
  return page(chosen, ({ host }) => host, ask);
}

function transitionsOf(
  reader: Reader,
  on: { readonly host: HostName; readonly rolloutId?: RolloutId },
): readonly StoredTransition[] {
  return reader.transitions({ ...on, after: null, limit: TRANSITIONS_READ_MAX }).toReversed();
}

type FleetReads =
  | "getStatus"
  | "getChannels"
  | "getRollouts"
  | "getRollout"
  | "getRolloutHosts"
  | "getHosts";

function fleetReads({
  writer,
  reader,
  clock,
  repository,
}: ReadPorts): Pick<OperatorReads, FleetReads> {
  const newest = () => writer.logHead()?.offset ?? null;
  return {
    getStatus: () => {
      const now = clock.now();
      const about = { readySince: writer.readySince, newest: newest() };
      const view = statusView(writer.fleet(), about, now);
      return repository === null
        ? view
        : { ...view, repository: repositoryStatus(repository, now) };
    },
    getChannels: ({ query }) => {
      const fleet = writer.fleet();
      const now = clock.now();
      return mapPage(page(fleet.channels(), String, query), (of) => channelStatus(fleet, of, now));
    },
    getRollouts: ({ query }) => {
      const fleet = writer.fleet();
      const now = clock.now();
      const opened = fleet
        .channels()
        .filter((channel) => query.channel === undefined || query.channel === channel)
        .flatMap((channel) => fleet.rolloutsOf(channel))
        .filter(({ kind }) => query.state === undefined || query.state === kind)
        .flatMap(({ rolloutId }) => rolloutOf(fleet, rolloutId) ?? [])
        .sort((a, b) => b.rollout.openedAt - a.rollout.openedAt);
      return mapPage(
        page(opened, ({ rollout }) => rollout.rolloutId, query),
        (of) => rolloutSummary(fleet, of, now),
      );
    },
    getRollout: ({ params }) => {
      const fleet = writer.fleet();
      const opened = knownRollout(fleet, params.rolloutId);
      const completed = completedWaves(reader, params.rolloutId);
      const at = { now: clock.now(), newest: newest(), beginsAt: reader.logBeginsAt() };
      return rolloutView(fleet, opened, { ...at, completed });
    },
    getRolloutHosts: ({ params, query }) => {
      const fleet = writer.fleet();
      const now = clock.now();
      const { release } = knownRollout(fleet, params.rolloutId);
      const rowOf = (host: HostName) => hostRow(fleet, { host, release }, now);
      return hostPage({ hosts: release.hosts.map(({ host }) => host), rowOf }, query, query);
    },
    getHosts: ({ query }) => {
      const fleet = writer.fleet();
      const now = clock.now();
      const listed =
        query.channel === undefined
          ? everyHost(fleet)
          : (fleet.currentRelease(query.channel)?.hosts ?? []).map(({ host }) => host).sort();
      const rowOf = (host: HostName) => hostRow(fleet, { host, release: null }, now);
      return hostPage({ hosts: listed, rowOf }, query, query);
    },
  };
}

type HostReads = "getHost" | "getWhy" | "getTimeline" | "getLogs";

function hostReads(ports: ReadPorts): Pick<OperatorReads, HostReads> {
  const { writer, reader, clock } = ports;
  return {
    getHost: ({ params }) => {
      const fleet = writer.fleet();
      refuseUnknownHost(fleet, params.host);
      const newest = writer.logHead()?.offset ?? null;
      const stored = reader.host(params.host);
      return hostView(fleet, { host: params.host, stored }, { now: clock.now(), newest });
    },
    // Total over hosts, any name at all: that a host was never heard of is an answer too.
    getWhy: ({ params: { host } }) => whyOf(ports, host),
    getTimeline: ({ params: { host }, query }) => {
      refuseUnknownHost(writer.fleet(), host);
      const { rollout } = query;
      const on = rollout === undefined ? { host } : { host, rolloutId: rollout };
      const transitions = transitionsOf(reader, on);
      const logBeginsAt = beginsAfter(reader, transitions.at(-1)?.offset ?? null);
      return { ...page(transitions, ({ offset }) => String(offset), query), logBeginsAt };
    },
    getLogs: ({ params: { host }, query }) => {
      const log = ports.unitLogs.newest(host, query.rollout);
      if (log !== null) return log.text;
      throw ProblemError.of(
        "not-found",
        `${host}: no unit's output is here; it comes after a failure, and the oldest are dropped. On the host, journalctl has it.`,
      );
    },
  };
}

/** Reads with views over what the planner itself holds (hazard 72), and over committed rows. */
export function operatorReads(ports: ReadPorts): OperatorReads {
  const { writer, reader } = ports;
  return {
    ...fleetReads(ports),
    ...hostReads(ports),
    getEvents: ({ query }) =>
      eventsPage(
        reader,
        {
          filter: {
            ...(query.host === undefined ? {} : { host: query.host }),
            ...(query.rollout === undefined ? {} : { rolloutId: query.rollout }),
            ...(query.kind === undefined ? {} : { kind: query.kind }),
          },
          after: query.after ?? null,
          limit: query.limit ?? EVENTS_LIMIT_DEFAULT,
        },
        writer.logHead()?.offset ?? null,
      ),
    getStream: (_, { principal }) => ports.streams.admit(principal.name),
    getQuarantines: ({ query }) => {
      const fleet = writer.fleet();
      const quarantines = fleet
        .quarantines()
        .filter(({ channel }) => query.channel === undefined || query.channel === channel);
      const keyOf = ({ channel, closure }: (typeof quarantines)[number]) => `${channel}/${closure}`;
      return mapPage(page(quarantines, keyOf, query), (of) => quarantineView(fleet, of));
    },
    getFreezes: ({ query }) =>
      page(writer.fleet().freezesInForce(ports.clock.now()), ({ freezeId }) => freezeId, query),
    getMetrics: () => ports.metrics(),
  };
}
