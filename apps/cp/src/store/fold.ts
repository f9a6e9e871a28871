import {
  ackMarks,
  consumeNumber,
  type DispatchAck,
  type EmitLog,
  type EmitMetric,
  type Envelope,
  type Fleet,
  foldInput,
  type HostName,
  type Input,
  inPhase,
  interpret,
  invariant,
  type JournalId,
  type Outcome,
  type Release,
  type RemoteEffect,
  type RolloutId,
  type Seq,
  type Sha256,
  type SharedEffect,
  stepRemote,
  stepRemotePast,
  supersede,
} from "@nixwave/effects";
import type { LogLine } from "@nixwave/protocol";
import { COMMIT_HANDLERS } from "../commit/handlers.ts";
import type { DerivedChange } from "./change.ts";
import type { Leases } from "./leases.ts";
import type { ReadLines } from "./readLines.ts";
import type { Streams } from "./streams.ts";

/** What a line is folded into: read here, changed only by `applyChange` with what the fold yields. */
export interface FoldView {
  readonly fleet: Fleet;
  readonly streams: Streams;
  readonly leases: Leases;
  readonly lines: ReadLines;
  /** A verified release, also one that no line has named yet. */
  release(rolloutId: RolloutId): Release | null;
}

/** What one line means. `outcome` is that of an AgentEvent; `perform` is for after the commit and dropped by a rebuild. */
export interface Folded {
  readonly changes: readonly DerivedChange[];
  readonly perform: readonly (EmitMetric | EmitLog)[];
  readonly outcome: Outcome | null;
}

const changesOnly = (changes: readonly DerivedChange[]): Folded => ({
  changes,
  perform: [],
  outcome: null,
});

/**
 * The one mutator: the writer folds every line that it appends, rebuild and check fold those that are stored. It applies facts and never
 * decides: no plan, no due, no clock but the line's own.
 * `appendReceived` is where an agent's event gets into the log: the writer appends it, for stored lines it is there already.
 */
export function fold(view: FoldView, line: LogLine, appendReceived: () => void): Folded {
  switch (line.kind) {
    case "AgentEvent":
      return foldEvent(view, line, appendReceived);
    case "EventRefused":
      return changesOnly(foldRefused(view, line));
    case "RolloutInput":
    case "FleetInput":
      return changesOnly(foldAnyInput(view, line.input));
    case "DispatchChanged":
      return changesOnly([{ kind: "DispatchChanged", dispatch: line.dispatch }]);
    case "ReleaseVerified":
      return changesOnly(foldRelease(view, line));
    case "ReleaseRefused": {
      const { channel, reason, receivedAt: since } = line;
      return changesOnly([{ kind: "ChannelUnverified", channel, reason, since }]);
    }
    case "GateChanged": {
      const { rolloutId, gate, hosts, receivedAt } = line;
      return changesOnly([
        { kind: "GateMoved", rolloutId, gate, since: hosts === 0 ? null : receivedAt },
      ]);
    }
    case "Enrolled":
    case "JournalChanged":
    case "Checkpoint":
      return changesOnly([]);
  }
}

/** Memory follows: the FleetState is shown leases as they are held, rows keep them as they were logged. */
export function applyChange(view: FoldView, change: DerivedChange): void {
  switch (change.kind) {
    case "StreamAdvanced":
      view.streams.set(change);
      return;
    case "TransitionRecorded":
    case "GateMoved":
      return;
    case "DispatchChanged":
      view.leases.log(change.dispatch);
      view.fleet.apply({ kind: "DispatchChanged", dispatch: view.leases.held(change.dispatch) });
      return;
    case "ReleaseVerified":
    case "ChannelUnverified":
    case "RolloutChanged":
    case "MarksChanged":
    case "RecordChanged":
    case "QuarantineInserted":
    case "QuarantineRemoved":
    case "FreezeInserted":
    case "FreezeRemoved":
    case "HostHeard":
    case "HostRevoked":
    case "ReplayBegan":
    case "HostReplayed":
    case "ReplayEnded":
      view.fleet.apply(change);
  }
}

type LineOf<K extends LogLine["kind"]> = Extract<LogLine, { readonly kind: K }>;

function foldEvent(view: FoldView, line: LineOf<"AgentEvent">, appendReceived: () => void): Folded {
  const { fleet } = view;
  const { host, rolloutId, journalId, seq, receivedAt } = line;
  const { decoded, hash } = view.lines.read(line.line);
  const record = fleet.record(rolloutId, host);
  invariant(decoded.ok, `line ${line.offset} was taken for an event of ${host}, so it is one`);
  invariant(record !== null, `line ${line.offset} is about a record of ${host} in ${rolloutId}`);
  const envelope: Envelope = { ...decoded.value, journalId };
  const endedBy = acknowledgedAfter(view, envelope);
  const step =
    endedBy === null
      ? stepRemote(record, envelope, receivedAt)
      : stepRemotePast(record, envelope, receivedAt, endedBy);
  const changes: DerivedChange[] = [
    {
      kind: "StreamAdvanced",
      host,
      rolloutId,
      journalId,
      lastSeq: seq,
      lastHash: hash,
    },
    { kind: "RecordChanged", record: step.state },
  ];
  const context = {
    fleet,
    now: receivedAt,
    appendReceived,
    change: (change: DerivedChange) => void changes.push(change),
    queueDispatch: () => invariant(false, "an agent's event queues no dispatch: only a plan does"),
  };
  const effects: readonly (RemoteEffect | SharedEffect)[] = step.effects;
  for (const effect of effects.filter(inPhase<RemoteEffect | SharedEffect, "commit">("commit")))
    interpret(COMMIT_HANDLERS, effect, context);
  if (step.outcome.kind === "moved" && envelope.event.kind === "DispatchAck")
    changes.push(...acknowledged(view, envelope, envelope.event));
  return {
    changes,
    perform: effects.filter(inPhase<RemoteEffect | SharedEffect, "perform">("perform")),
    outcome: step.outcome,
  };
}

/** What an accepted acknowledgement ends: what was owed to the host, and its older records (Superseding 3). */
function acknowledged(
  { fleet }: FoldView,
  { host, rolloutId }: Envelope,
  { attempt }: DispatchAck,
): readonly DerivedChange[] {
  const before = fleet.marks(rolloutId, host);
  const marks = ackMarks(before, attempt);
  const ended = fleet
    .recordsOf(host)
    .filter((record) => !isNewer(fleet, record.rolloutId, rolloutId))
    .map((older) => ({ older, record: supersede(older, rolloutId) }))
    .filter(({ older, record }) => older !== record);
  return [
    ...(marks === before ? [] : [{ kind: "MarksChanged" as const, marks }]),
    ...ended.map(({ record }) => ({ kind: "RecordChanged" as const, record })),
  ];
}

/**
 * The newest of the rollouts that this host acknowledged, in the same journal, after the one that the event is about; null without any.
 * A replay brings streams in any order: the release of an older one may become known after a newer one was acknowledged.
 */
function acknowledgedAfter(
  { fleet }: FoldView,
  { host, rolloutId, journalId }: Envelope,
): RolloutId | null {
  return fleet
    .recordsOf(host)
    .filter((other) => other.kind !== "Pending" && other.journalId === journalId)
    .map((other) => other.rolloutId)
    .filter((other) => other !== rolloutId && isNewer(fleet, other, rolloutId))
    .reduce<RolloutId | null>(
      (newest, other) => (newest === null || isNewer(fleet, other, newest) ? other : newest),
      null,
    );
}

/**
 * A replay may bring an old acknowledgement after a newer record was opened: an agent goes from older releases to newer ones only, so
 * what was created later was not ended by it. The rollout itself counts as newer, for it ends nothing of its own.
 */
function isNewer(fleet: FoldView["fleet"], other: RolloutId, rolloutId: RolloutId): boolean {
  if (other === rolloutId) return true;
  const [theirs, ours] = [fleet.rollout(other), fleet.rollout(rolloutId)];
  return theirs !== null && ours !== null && theirs.createdAt > ours.createdAt;
}

/** A refused line uses its number up, in the stream and in the record if there is one; of an unknown rollout there is neither. */
function foldRefused(view: FoldView, line: LineOf<"EventRefused">): readonly DerivedChange[] {
  if (line.code === "unknown-rollout") return [];
  const { host, rolloutId, journalId, seq } = line;
  const record = view.fleet.record(rolloutId, host);
  return [
    advanced({ host, rolloutId, journalId }, seq, line.sha256),
    ...(record === null
      ? []
      : [{ kind: "RecordChanged" as const, record: consumeNumber(record, journalId, seq) }]),
  ];
}

const advanced = (
  stream: {
    readonly host: HostName;
    readonly rolloutId: RolloutId;
    readonly journalId: JournalId;
  },
  lastSeq: Seq,
  lastHash: Sha256,
): DerivedChange => ({ kind: "StreamAdvanced", ...stream, lastSeq, lastHash });

function foldAnyInput(view: FoldView, input: Input): readonly DerivedChange[] {
  const { changes } = foldInput(view.fleet, input);
  return changes.map((change) => {
    if (change.kind === "DispatchChanged")
      return { ...change, dispatch: view.leases.logged(change.dispatch) };
    if (change.kind !== "RecordChanged" || input.kind !== "HostJoined") return change;
    // Lines of this stream may have been refused before anything opened a record; their numbers are gone all the same.
    const { lastSeq } = view.streams.end(input.host, input.rolloutId, input.journalId);
    return lastSeq === 0 || lastSeq <= change.record.lastSeq
      ? change
      : { ...change, record: consumeNumber(change.record, input.journalId, lastSeq) };
  });
}

function foldRelease(view: FoldView, line: LineOf<"ReleaseVerified">): readonly DerivedChange[] {
  const { rolloutId, channel, current, receivedAt: at } = line;
  const release = view.release(rolloutId);
  invariant(release !== null, `${rolloutId} was verified, so it is stored`);
  const verified: DerivedChange = { kind: "ReleaseVerified", release, current, at };
  if (!current || view.fleet.unverified(channel) === null) return [verified];
  return [verified, { kind: "ChannelUnverified", channel, reason: null, since: at }];
}
