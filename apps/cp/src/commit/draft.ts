import {
  type Dispatch,
  type EmitLog,
  type EmitMetric,
  type HostName,
  type Input,
  type Instant,
  invariant,
  isInputAbout,
  type Offset,
  type RolloutId,
} from "@nixwave/effects";
import { type LogLine, storedLogLine } from "@nixwave/protocol";
import { namesOf } from "../log/names.ts";
import { type LogText, makeSegment, offsetAfter, REDUCERS_VERSION } from "../log/segment.ts";
import type { Random } from "../ports.ts";
import type { Batch, Observation, Stamped } from "../store/change.ts";
import { type Folded, fold } from "../store/fold.ts";
import { applyToMemory, type Memory } from "../store/memory.ts";
import type { Snapshot } from "../store/snapshot.ts";

type WithoutPlace<L> = L extends LogLine ? Omit<L, "offset" | "receivedAt"> : never;
/** A line before the log has given it its place and instant. */
export type NewLine = WithoutPlace<LogLine>;

/** One batch while it is decided: whatever is appended is folded at once, so that the next decision sees it. */
export class Draft {
  readonly now: Instant;
  readonly memory: Memory;
  readonly random: Random;
  readonly perform: (EmitMetric | EmitLog)[] = [];
  /** For metrics only: events that were here already, and seconds from queued to acknowledged. */
  duplicates = 0;
  readonly acknowledgedSecs: number[] = [];
  readonly wakes = new Set<HostName>();
  readonly rollouts = new Map<RolloutId, Set<HostName>>();
  readonly #texts: LogText[] = [];
  readonly #changes: Stamped[] = [];
  readonly #observations: Observation[] = [];
  #snapshot: Snapshot | null = null;
  #dropBefore: Offset | null = null;

  constructor(memory: Memory, { now, random }: { readonly now: Instant; readonly random: Random }) {
    this.memory = memory;
    this.now = now;
    this.random = random;
  }

  /** Appends a line to the batch's segment and folds it. */
  append(body: NewLine): Folded & { readonly offset: Offset } {
    const offset = offsetAfter(this.memory.head.next, this.#texts.length);
    const line: LogLine = { offset, receivedAt: this.now, ...body };
    const write = (): void => {
      const { host, rolloutId } = namesOf(line);
      if (rolloutId !== null) {
        const touched = this.rollouts.get(rolloutId) ?? new Set();
        this.rollouts.set(rolloutId, touched);
        if (host !== null) touched.add(host);
        this.memory.gatesTouched.add(rolloutId);
      }
      this.#texts.push({ text: JSON.stringify(storedLogLine.parse(line)), host, rolloutId });
    };
    // An agent's event is written by its own effect, RemoteAppendEventLog.
    if (line.kind !== "AgentEvent") write();
    const folded = fold(this.memory, line, write);
    invariant(
      offsetAfter(this.memory.head.next, this.#texts.length) === offset + 1,
      `the fold of ${line.kind} has written its line once`,
    );
    for (const change of folded.changes) {
      this.#changes.push({ offset, change });
      applyToMemory(this.memory, change);
    }
    this.perform.push(...folded.perform);
    return { ...folded, offset };
  }

  input(input: Input): Offset {
    const { offset } = isInputAbout(input, "rollout")
      ? this.append({ kind: "RolloutInput", input })
      : this.append({ kind: "FleetInput", input });
    return offset;
  }

  dispatch(dispatch: Dispatch): Offset {
    if (dispatch.state === "queued") this.wakes.add(dispatch.host);
    return this.append({ kind: "DispatchChanged", dispatch }).offset;
  }

  /** Begins the segment, so that a log can begin with it. */
  checkpoint(snapshot: Snapshot): void {
    invariant(this.#texts.length === 0, "a checkpoint is the first line of its segment");
    this.#snapshot = snapshot;
    const { sha256 } = snapshot;
    this.append({ kind: "Checkpoint", version: REDUCERS_VERSION, sha256 });
  }

  dropBefore(offset: Offset): void {
    this.#dropBefore = offset;
  }

  observe(observation: Observation): void {
    this.#observations.push(observation);
  }

  log(level: EmitLog["level"], message: string, fields: EmitLog["fields"]): void {
    this.perform.push({ kind: "EmitLog", level, target: "writer", message, fields });
  }

  get lineCount(): number {
    return this.#texts.length;
  }

  get isEmpty(): boolean {
    return this.#texts.length === 0 && this.#observations.length === 0 && this.#dropBefore === null;
  }

  /** What is to be committed. */
  batch(): Batch {
    return {
      segment: this.#texts.length === 0 ? null : makeSegment(this.memory.head, this.#texts),
      changes: this.#changes,
      observations: this.#observations,
      checkpoint: this.#snapshot === null ? null : { at: this.now, snapshot: this.#snapshot },
      dropBefore: this.#dropBefore,
    };
  }
}
