import {
  type Batch,
  type CpCrash,
  EMPTY_LOG,
  headAfter,
  type Loaded,
  type LoadedHost,
  LogFold,
  noRecords,
  type Observation,
  type SegmentRow,
  type Store,
  segmentHash,
} from "@nixwave/cp";
import type {
  Channel,
  HostName,
  Instant,
  Offset,
  Release,
  RolloutId,
  Sha256,
} from "@nixwave/effects";
import { Chains } from "./chains.ts";
import type { Unclean } from "./controlPlaneDisk.ts";
import { type DerivedRows, emptyRows, sortedRows, writeRow } from "./derivedRows.ts";
import { isSame } from "./equal.ts";

/** What no line stands behind. */
interface Observed {
  readonly hosts: Map<HostName, Omit<LoadedHost, "journals">>;
  readonly journals: Map<HostName, LoadedHost["journals"]>;
  readonly releases: Map<RolloutId, Release>;
  readonly replayGates: Map<Channel, Instant>;
  revoked: readonly HostName[];
}

/**
 * A control plane's database without SQLite: what sqliteStore answers, this answers. World for world both give the same chronicle,
 * which a test holds (stores.test.ts), and one world in ten runs on SQLite's files anyway.
 */
export class MemoryDatabase {
  readonly segments: SegmentRow[] = [];
  readonly rows: DerivedRows = emptyRows();
  readonly observed: Observed = {
    hosts: new Map(),
    journals: new Map(),
    releases: new Map(),
    replayGates: new Map(),
    revoked: [],
  };
  readonly #ends = new Map<Offset, Sha256>();
  /** The log as it was folded for the last check: lines are only ever added to it. */
  readonly #folding = new LogFold();
  readonly #folded: DerivedRows = emptyRows();
  readonly #chains = new Chains();
  #foldedSegments = 0;

  store(crash: CpCrash): Store {
    return {
      place: ":memory:",
      commit: async (batch) => {
        // Whoever dies inside the transaction has written nothing.
        crash.point("inside-commit");
        this.#write(batch);
      },
      load: () => Promise.resolve().then(() => this.load()),
      hashEndingAt: async (offsets) =>
        new Map(offsets.flatMap((end) => entryOf(end, this.#ends.get(end)))),
      snapshot: async () => {
        // A checkpoint is SQLite's own rows, and what may leave the log for it is in an archive file: this has neither.
        throw new Error("only worlds on files take checkpoints");
      },
    };
  }

  /** Rows are replaced, never changed: so a copy of the tables is a copy of the database. */
  copy(): MemoryDatabase {
    const copy = new MemoryDatabase();
    for (const segment of this.segments) copy.#append(segment);
    fill(copy.rows, this.rows);
    fill(copy.observed, this.observed);
    copy.observed.revoked = this.observed.revoked;
    return copy;
  }

  load(): Loaded {
    const { hosts, journals, releases, replayGates, revoked } = this.observed;
    const last = this.segments.at(-1);
    return {
      head: last === undefined ? EMPTY_LOG : headAfter(last),
      releases: sortedBy(releases, ({ createdAt, rolloutId }) => [createdAt, rolloutId]),
      ...sortedRows(this.rows),
      hosts: [...journals]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([host, began]) => ({
          ...(hosts.get(host) ?? { host, lastHeardAt: null, report: null, foreignHead: null }),
          journals: began,
        })),
      revoked: [...revoked].sort(),
      identity: noRecords(),
      replayGates: [...replayGates]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([channel, since]) => ({ channel, since })),
    };
  }

  /** Looks at the whole log, of which it has looked at the beginning already, and at every row. */
  unclean(): Unclean | null {
    for (const release of this.observed.releases.values()) this.#folding.know(release);
    for (; this.#foldedSegments < this.segments.length; this.#foldedSegments += 1) {
      const segment = this.segments[this.#foldedSegments];
      if (segment === undefined) break;
      const before = this.segments[this.#foldedSegments - 1];
      const { next, hash } = before === undefined ? EMPTY_LOG : headAfter(before);
      const { firstOffset, prevHash, count } = segment;
      const texts = segment.lines.split("\n").slice(0, -1);
      const continues = firstOffset === next && prevHash === hash && texts.length === count;
      if (!continues || segmentHash(segment) !== segment.hash)
        return { invariant: "I5", what: `the segment at ${firstOffset} does not continue the log` };
      const broken = this.#chains.broken(segment.lines);
      if (broken !== null) return { invariant: "I6", what: broken };
      for (const text of texts)
        for (const stamped of this.#folding.take(text)) writeRow(this.#folded, stamped);
    }
    const what = difference(this.rows, this.#folded);
    return what === null ? null : { invariant: "I5", what };
  }

  #write({ segment, changes, observations }: Batch): void {
    if (segment !== null) this.#append(segment);
    for (const stamped of changes) writeRow(this.rows, stamped);
    for (const observation of observations) this.observe(observation);
  }

  #append(segment: SegmentRow): void {
    this.segments.push(segment);
    const { last, hash } = headAfter(segment);
    if (last !== null) this.#ends.set(last, hash);
  }

  observe(observation: Observation): void {
    const { hosts, journals, releases, replayGates } = this.observed;
    switch (observation.kind) {
      case "HostSeen": {
        const { kind: _, ...seen } = observation;
        hosts.set(seen.host, seen);
        return;
      }
      case "JournalBegan": {
        const { host, journalId, at } = observation;
        journals.set(host, [...(journals.get(host) ?? []), { journalId, beganAt: at }]);
        return;
      }
      case "ReleaseStored": {
        const { release } = observation;
        if (!releases.has(release.rolloutId)) releases.set(release.rolloutId, release);
        return;
      }
      case "ReplayGateSet": {
        const { channel, since } = observation;
        if (since === null) replayGates.delete(channel);
        else if (!replayGates.has(channel)) replayGates.set(channel, since);
        return;
      }
      case "RevocationsReplaced":
        this.observed.revoked = observation.revoked;
        return;
      case "NonceReserved":
      case "CertificateIssued":
      case "TokenUsed":
        throw new Error("no world has certificates or tokens: names are headers in it");
    }
  }
}

const entryOf = <K, V>(key: K, value: V | undefined): readonly (readonly [K, V])[] =>
  value === undefined ? [] : [[key, value]];

function fill(to: object, from: object): void {
  for (const [name, table] of Object.entries(from)) {
    const into: unknown = Reflect.get(to, name);
    if (table instanceof Map && into instanceof Map)
      for (const [key, value] of table) into.set(key, value);
  }
}

function sortedBy<T>(
  table: ReadonlyMap<unknown, T>,
  order: (value: T) => readonly [number, string],
): readonly T[] {
  return [...table.values()].sort((a, b) => {
    const [[one, name], [other, otherName]] = [order(a), order(b)];
    return one - other || (name < otherName ? -1 : 1);
  });
}

function difference(stored: DerivedRows, folded: DerivedRows): string | null {
  for (const [name, table] of Object.entries(stored)) {
    const other: unknown = Reflect.get(folded, name);
    if (!(table instanceof Map && other instanceof Map)) continue;
    for (const key of new Set([...table.keys(), ...other.keys()])) {
      const [one, two] = [table.get(key), other.get(key)];
      if (!isSame(one, two))
        return `${name} ${key}: stored ${JSON.stringify(one)}, the log says ${JSON.stringify(two)}`;
    }
  }
  return null;
}
