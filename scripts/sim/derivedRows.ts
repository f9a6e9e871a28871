import type { DerivedChange, Loaded, LoadedChannel, Stamped } from "@nixwave/cp";
import type {
  Dispatch,
  Freeze,
  HostMarks,
  HostRollout,
  Offset,
  Rollout,
  RolloutId,
} from "@nixwave/effects";

/** A row and the line that last changed it. */
interface Row<T> {
  readonly value: T;
  readonly offset: Offset;
}
type Change<K extends DerivedChange["kind"]> = Extract<DerivedChange, { readonly kind: K }>;

/** The derived tables, each under the key that its SQL table has, joined with spaces. */
export interface DerivedRows {
  readonly channels: Map<string, Row<LoadedChannel>>;
  readonly rollouts: Map<string, Row<Rollout>>;
  readonly marks: Map<string, Row<HostMarks>>;
  readonly records: Map<string, Row<HostRollout>>;
  readonly dispatches: Map<string, Row<Dispatch>>;
  readonly quarantines: Map<string, Row<Change<"QuarantineInserted">>>;
  readonly freezes: Map<string, Row<Freeze>>;
  readonly streams: Map<string, Row<Change<"StreamAdvanced">>>;
  readonly gates: Map<string, Row<Loaded["gates"][number]>>;
  readonly transitions: Map<string, Row<Change<"TransitionRecorded">>>;
}

export const emptyRows = (): DerivedRows => ({
  channels: new Map(),
  rollouts: new Map(),
  marks: new Map(),
  records: new Map(),
  dispatches: new Map(),
  quarantines: new Map(),
  freezes: new Map(),
  streams: new Map(),
  gates: new Map(),
  transitions: new Map(),
});

export function writeRow(rows: DerivedRows, { change, offset }: Stamped): void {
  switch (change.kind) {
    case "ReleaseVerified":
    case "ChannelUnverified":
      return writeChannel(rows, change, offset);
    case "RolloutChanged": {
      const { rollout } = change;
      if (rollout.kind === "Pruned") dropRowsOf(rows, rollout.rolloutId);
      return put(rows.rollouts, rollout.rolloutId, rollout, offset);
    }
    case "MarksChanged": {
      const { marks } = change;
      return put(rows.marks, `${marks.rolloutId} ${marks.host}`, marks, offset);
    }
    case "RecordChanged": {
      const { record } = change;
      return put(rows.records, `${record.rolloutId} ${record.host}`, record, offset);
    }
    case "DispatchChanged": {
      const { dispatch } = change;
      const { host, rolloutId, attempt } = dispatch;
      return put(rows.dispatches, `${host} ${rolloutId} ${attempt}`, dispatch, offset);
    }
    case "QuarantineInserted":
      return put(rows.quarantines, `${change.channel} ${change.closure}`, change, offset);
    case "QuarantineRemoved":
      return void rows.quarantines.delete(`${change.channel} ${change.closure}`);
    case "FreezeInserted":
      return put(rows.freezes, change.freeze.freezeId, change.freeze, offset);
    case "FreezeRemoved":
      return void rows.freezes.delete(change.freezeId);
    case "TransitionRecorded":
      return put(rows.transitions, String(offset), change, offset);
    case "StreamAdvanced":
      return put(rows.streams, `${change.host} ${change.rolloutId}`, change, offset);
    case "GateMoved":
      return writeGate(rows, change, offset);
    case "HostHeard":
    case "HostRevoked":
    case "ReplayBegan":
    case "HostReplayed":
    case "ReplayEnded":
  }
}

/** Of a pruned rollout only its own row is left. */
function dropRowsOf(rows: DerivedRows, rolloutId: RolloutId): void {
  const { marks, records, dispatches, streams, gates, transitions } = rows;
  const drop = <T>(table: Map<string, Row<T>>, of: (value: T) => RolloutId): void => {
    for (const [key, { value }] of table) if (of(value) === rolloutId) table.delete(key);
  };
  drop(marks, (each) => each.rolloutId);
  drop(records, (each) => each.rolloutId);
  drop(dispatches, (each) => each.rolloutId);
  drop(streams, (each) => each.rolloutId);
  drop(gates, (each) => each.rolloutId);
  drop(transitions, (each) => each.rolloutId);
}

function put<T>(table: Map<string, Row<T>>, key: string, value: T, offset: Offset): void {
  table.set(key, { value, offset });
}

function writeGate(
  { gates }: DerivedRows,
  { rolloutId, gate, since }: Change<"GateMoved">,
  offset: Offset,
): void {
  const key = `${rolloutId} ${gate}`;
  if (since === null) gates.delete(key);
  else put(gates, key, { rolloutId, gate, since }, offset);
}

function writeChannel(
  rows: DerivedRows,
  change: Change<"ReleaseVerified"> | Change<"ChannelUnverified">,
  offset: Offset,
): void {
  if (change.kind === "ReleaseVerified") {
    const { release, current, at } = change;
    if (!current) return;
    const { channel, rolloutId } = release;
    const unverified = rows.channels.get(channel)?.value.unverified ?? null;
    return put(
      rows.channels,
      channel,
      { channel, current: rolloutId, verifiedAt: at, unverified },
      offset,
    );
  }
  const { channel, reason, since } = change;
  const known = rows.channels.get(channel)?.value ?? { channel, current: null, verifiedAt: null };
  const unverified = reason === null ? null : { reason, since };
  return put(rows.channels, channel, { ...known, unverified }, offset);
}

type Key = string | number;

/** In the order in which the store's queries give them. */
export function sortedRows(
  rows: DerivedRows,
): Omit<Loaded, "head" | "releases" | "hosts" | "revoked" | "replayGates" | "identity"> {
  return {
    channels: sorted(rows.channels, ({ value }) => [value.channel]),
    rollouts: sorted(rows.rollouts, ({ value }) => [value.openedAt, value.rolloutId]),
    marks: sorted(rows.marks, ({ value }) => [value.rolloutId, value.host]),
    records: sorted(rows.records, ({ value: { dispatchedAt, rolloutId, host } }) => [
      dispatchedAt,
      rolloutId,
      host,
    ]),
    dispatches: sorted(rows.dispatches, ({ value, offset }) => [offset, value.host]),
    quarantines: sorted(rows.quarantines, ({ value, offset }) => [
      offset,
      value.channel,
      value.closure,
    ]),
    freezes: sorted(rows.freezes, ({ value, offset }) => [offset, value.freezeId]),
    streams: sorted(rows.streams, ({ value }) => [value.host, value.rolloutId]),
    gates: sorted(rows.gates, ({ value }) => [value.rolloutId, value.gate]),
  };
}

function sorted<T>(
  table: ReadonlyMap<string, Row<T>>,
  order: (row: Row<T>) => readonly Key[],
): readonly T[] {
  return [...table.values()]
    .map((row) => ({ row, keys: order(row) }))
    .sort((a, b) => compare(a.keys, b.keys))
    .map(({ row }) => row.value);
}

function compare(one: readonly Key[], other: readonly Key[]): number {
  for (const [place, key] of one.entries()) {
    const against = other[place];
    if (against === undefined || key === against) continue;
    return key < against ? -1 : 1;
  }
  return 0;
}
