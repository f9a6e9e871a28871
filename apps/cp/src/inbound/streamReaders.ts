import {
  addSecs,
  type FleetState,
  type HostName,
  type Instant,
  isOffset,
  type Offset,
  type RolloutId,
} from "@nixwave/effects";
import { type RolloutMoved, type StreamSink, streamMessage } from "@nixwave/protocol";
import { namesOf } from "../log/names.ts";
import { parseLine } from "../log/read.ts";
import { offsetAfter } from "../log/segment.ts";
import type { Clock, Timer, TouchedRollouts } from "../ports.ts";
import type { Reader } from "../store/reader.ts";
import { rolloutMovedView } from "../views/rolloutMovedView.ts";
import { ProblemError } from "./problemError.ts";

export interface StreamPorts {
  readonly fleet: () => FleetState;
  readonly newest: () => Offset | null;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly timer: Timer;
}

/** Four times a second is as fast as an eye follows; a commit may come much more often. */
const FLUSH_SECS = 0.25;
/** What a reader has not taken is kept in memory; it comes back for the rest. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** Above it a reader is better off reading the rollout again. */
const HOSTS_NAMED_MAX = 100;
/** A reader that was away is told what it missed from so many lines of the log; of more it is told to read all again. */
const RESUMED_LINES_MAX = 1000;
/** A screen each; they cost memory, and a message is written to each. */
const READERS_MAX = 256;
/** Of one operator, who may have left screens open; so that one token can't take all places. */
const READERS_OF_OPERATOR_MAX = 32;
/** Proxies cut silent connections after some minutes at most, and a reader that has gone is found by writing to it. */
const SILENCE_SECS = 15;

type Changed = Set<HostName> | "reload";

/** Those who read /v1/stream: what commits touched is gathered, and told to all of them at once, a few times a second. */
export class StreamReaders {
  readonly #ports: StreamPorts;
  /** Whose they are. */
  readonly #sinks = new Map<StreamSink, string>();
  readonly #changed = new Map<RolloutId, Changed>();
  #flushedAt: Instant | null = null;
  #cancelFlush: (() => void) | null = null;
  #cancelBeat: (() => void) | null = null;
  #stopped = false;

  constructor(ports: StreamPorts) {
    this.#ports = ports;
  }

  /** Refuses before the answer begins. */
  admit(operator: string): (sink: StreamSink) => void {
    if (this.#sinks.size >= READERS_MAX)
      throw ProblemError.of(
        "queue-full",
        `${READERS_MAX} readers of the stream are here already: try again later.`,
      );
    const own = [...this.#sinks.values()].filter((name) => name === operator).length;
    if (own >= READERS_OF_OPERATOR_MAX)
      throw ProblemError.of(
        "queue-full",
        `${operator} has ${own} readers of the stream here already: close some of them.`,
      );
    return (sink) => this.#take(sink, operator);
  }

  /** Told by the writer, after the commit. */
  committed(rollouts: TouchedRollouts): void {
    if (this.#sinks.size === 0) return;
    for (const [rolloutId, hosts] of rollouts) gather(this.#changed, rolloutId, hosts);
    if (this.#changed.size > 0) this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelFlush?.();
    this.#cancelBeat?.();
    for (const sink of this.#sinks.keys()) sink.end();
    this.#sinks.clear();
  }

  #take(sink: StreamSink, operator: string): void {
    if (this.#stopped || sink.gone.aborted) {
      sink.end();
      return;
    }
    this.#sinks.set(sink, operator);
    sink.gone.addEventListener("abort", () => void this.#sinks.delete(sink), { once: true });
    this.#tell([sink], this.#missed(sink.lastEventId));
    this.#beat();
  }

  /** What came after the reader's last message; everything that is in force for one that is new or was away for too long. */
  #missed(lastEventId: string | null): ReadonlyMap<RolloutId, Changed> {
    const { fleet, newest, reader } = this.#ports;
    const all = new Map<RolloutId, Changed>(
      fleet()
        .channels()
        .flatMap((channel) => fleet().newestRollout(channel) ?? [])
        .map(({ rolloutId }) => [rolloutId, "reload"]),
    );
    const last = /^\d{1,16}$/.test(lastEventId ?? "") ? Number(lastEventId) : null;
    const head = newest();
    if (last === null || !isOffset(last) || head === null || last > head) return all;
    const from = offsetAfter(last, 1);
    if (from < reader.logBeginsAt()) return all;
    const { lines, more } = reader.events({}, { from, limit: RESUMED_LINES_MAX });
    if (more) return all;
    const missed = new Map<RolloutId, Changed>();
    for (const { line } of lines) {
      const { rolloutId, host } = namesOf(parseLine(line));
      if (rolloutId !== null) gather(missed, rolloutId, host === null ? [] : [host]);
    }
    return missed;
  }

  #arm(): void {
    if (this.#cancelFlush !== null || this.#stopped) return;
    const { clock, timer } = this.#ports;
    const now = clock.now();
    const due = this.#flushedAt === null ? now : addSecs(this.#flushedAt, FLUSH_SECS);
    this.#cancelFlush = timer.at(due > now ? due : now, () => {
      this.#cancelFlush = null;
      this.#flushedAt = clock.now();
      const changed = new Map(this.#changed);
      this.#changed.clear();
      this.#tell([...this.#sinks.keys()], changed);
    });
  }

  #tell(sinks: readonly StreamSink[], changed: ReadonlyMap<RolloutId, Changed>): void {
    const { fleet, newest } = this.#ports;
    const offset = newest();
    if (offset === null) return;
    const moved = [...changed].flatMap(([rolloutId, hosts]): RolloutMoved[] => {
      const named = hosts === "reload" ? hosts : [...hosts].sort();
      const view = rolloutMovedView(fleet(), rolloutId, { offset, changed: named });
      return view === null ? [] : [view];
    });
    const text = moved
      .map((each, place) => streamMessage(each, { last: place === moved.length - 1 }))
      .join("");
    if (text !== "") for (const sink of sinks) this.#write(sink, text);
  }

  /** Each message says how things stand, so a reader that is slow loses nothing by coming back later. */
  #write(sink: StreamSink, text: string): void {
    if (sink.waitingBytes() + text.length > WAITING_BYTES_MAX) {
      this.#sinks.delete(sink);
      sink.end();
    } else sink.write(text);
  }

  #beat(): void {
    if (this.#cancelBeat !== null || this.#stopped) return;
    const { clock, timer } = this.#ports;
    this.#cancelBeat = timer.at(addSecs(clock.now(), SILENCE_SECS), () => {
      this.#cancelBeat = null;
      for (const sink of this.#sinks.keys()) this.#write(sink, ":\n\n");
      if (this.#sinks.size > 0) this.#beat();
    });
  }
}

function gather(
  into: Map<RolloutId, Changed>,
  rolloutId: RolloutId,
  hosts: Iterable<HostName>,
): void {
  const known = into.get(rolloutId) ?? new Set<HostName>();
  if (known === "reload") return;
  for (const host of hosts) known.add(host);
  into.set(rolloutId, known.size > HOSTS_NAMED_MAX ? "reload" : known);
}
