import { instant, isRolloutId, type RolloutId } from "@nixwave/effects";
import { type Heartbeat, type HeartbeatAnswer, WAITS_FOR_LENGTH_MAX } from "@nixwave/protocol";
import type { Activation } from "../activation/activation.ts";
import { Backoff } from "../backoff.ts";
import { type ControlPlane, refusedJournal, type UnitLog } from "../controlPlane.ts";
import type { Mailbox } from "../input.ts";
import type { Journal } from "../journal/journal.ts";
import { newJournalId } from "../outbox.ts";
import { CALLED_OFF, type Clock, pause, type Random, type Timer } from "../ports.ts";

export type Leaving = NonNullable<Heartbeat["leaving"]>;

export interface HeartbeatParts {
  readonly agentVersion: string;
  readonly journal: Journal;
  readonly controlPlane: ControlPlane;
  readonly activation: Activation;
  readonly mailbox: Mailbox;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  /** Until the CP says otherwise. */
  readonly intervalSecs: number;
  readonly diskFreeBytes: () => number | null;
  readonly waitsFor: () => string | null;
  /** The output of the host's last unit, redacted; null if there is none. */
  readonly unitLog: () => Promise<UnitLog | null>;
  readonly onTrouble: (message: string, cause: unknown) => void;
}

/** Two heartbeats that were asked for are one if they come closer than this. */
const ASKED_EVERY_MS = 1000;
/** No answer makes the agent fall silent for longer, or chatter. */
const INTERVAL_SECS_MAX = 600;

/** Says what the host runs and which streams its journal keeps, and learns what the CP misses. Touches no record. */
export class Heartbeats {
  readonly #parts: HeartbeatParts;
  readonly #closed = new AbortController();
  readonly #backoff: Backoff;
  #intervalSecs: number;
  #asked = new AbortController();
  #lastHead = "";

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
    this.#intervalSecs = parts.intervalSecs;
    this.#backoff = new Backoff(parts.timer, parts.random);
  }

  /** Now, instead of at the end of the interval. */
  ask(): void {
    this.#asked.abort(CALLED_OFF);
  }

  async run(): Promise<void> {
    const { signal } = this.#closed;
    const { timer } = this.#parts;
    while (!signal.aborted) {
      this.#asked = new AbortController();
      const asked = this.#asked.signal;
      const ok = await this.#beat(null, signal).catch((cause: unknown) => {
        if (!signal.aborted) this.#parts.onTrouble("the heartbeat failed", cause);
        return { ok: false, retryAfterSecs: null };
      });
      if (ok.ok) {
        this.#backoff.succeeded();
        await pause(timer, ASKED_EVERY_MS, signal);
        const rest = Math.max(0, this.#intervalSecs * 1000 - ASKED_EVERY_MS);
        await pause(timer, rest, asked);
      } else await this.#backoff.failed(signal, ok.retryAfterSecs);
    }
  }

  /** The last one: the machine goes down or to sleep, and that is no loss of the host. */
  async sayLeaving(leaving: Leaving, signal: AbortSignal): Promise<void> {
    await this.#beat(leaving, signal).catch(() => {});
  }

  close(): void {
    this.#closed.abort(CALLED_OFF);
    // The rest of the interval waits for this one alone.
    this.#asked.abort(CALLED_OFF);
  }

  async #beat(
    leaving: Leaving | null,
    signal: AbortSignal,
  ): Promise<{ ok: boolean; retryAfterSecs: number | null }> {
    const { journal, controlPlane, mailbox, random } = this.#parts;
    const { journalId } = journal.facts();
    const call = await controlPlane.heartbeat(journalId, await this.#body(leaving), signal);
    if (call.kind === "answered" && !this.#isSetBack(call.value)) {
      await this.#answered(call.value, signal);
      return { ok: true, retryAfterSecs: null };
    }
    const code = call.kind === "answered" ? "set-back" : refusedJournal(call);
    if (code !== null) {
      const nextJournalId = newJournalId(random);
      await mailbox.submit({ kind: "JournalRefused", journalId, code, nextJournalId });
    }
    // The next one goes out under the new journal.
    if (call.kind === "answered") return { ok: true, retryAfterSecs: null };
    if (call.kind === "unreachable") {
      this.#parts.onTrouble("the control plane does not answer", call.reason);
      return { ok: false, retryAfterSecs: null };
    }
    this.#parts.onTrouble(`the control plane refuses the heartbeat (${call.code})`, call.detail);
    return { ok: false, retryAfterSecs: call.retryAfterSecs };
  }

  /** The CP has numbers of this journal that it never gave: a clone writes under it, or it was put back from a snapshot. */
  #isSetBack({ ahead = {} }: HeartbeatAnswer): boolean {
    const { records } = this.#parts.journal;
    return Object.entries(ahead).some(([id, lastSeq]) => {
      if (!isRolloutId(id)) return false;
      const own = records.get(id);
      // A record that a newer version wrote has numbers that can't be read here.
      return own?.kind !== "opaque" && lastSeq > (own?.lastSeq ?? 0);
    });
  }

  async #body(leaving: Leaving | null): Promise<Heartbeat> {
    const { journal, activation, clock, agentVersion, diskFreeBytes, waitsFor } = this.#parts;
    const { running } = await activation.system();
    const streams: Record<RolloutId, Heartbeat["streams"][RolloutId]> = {};
    for (const { rolloutId, attempt, lastSeq } of journal.records.streams())
      streams[rolloutId] = { attempt, lastSeq };
    return {
      agentVersion,
      currentClosure: running,
      bootId: await activation.bootId(),
      // The monotonic clock of the real port counts from the boot.
      uptimeSecs: clock.monotonicMs() / 1000,
      wallClock: instant(Math.max(0, Math.floor(clock.wallMs()))),
      streams,
      logHead: journal.facts().logHead,
      diskFreeBytes: diskFreeBytes(),
      waitsFor: waitsFor()?.slice(0, WAITS_FOR_LENGTH_MAX) ?? null,
      leaving,
    };
  }

  async #answered(answer: HeartbeatAnswer, signal: AbortSignal): Promise<void> {
    const { intervalSecs, replayFrom, logHead, want } = answer;
    this.#intervalSecs = Math.min(intervalSecs, INTERVAL_SECS_MAX);
    const head = JSON.stringify(logHead);
    // At rest there is nothing to tell the loop.
    if (Object.keys(replayFrom).length > 0 || head !== this.#lastHead)
      await this.#parts.mailbox.submit({ kind: "HeartbeatAnswered", replayFrom, logHead });
    this.#lastHead = head;
    if (want.includes("unit-log")) await this.#sendLog(signal);
  }

  async #sendLog(signal: AbortSignal): Promise<void> {
    const { journal, controlPlane, unitLog, onTrouble } = this.#parts;
    const log = await unitLog();
    if (log === null) return;
    const call = await controlPlane.postLog(journal.facts().journalId, log, signal);
    if (call.kind !== "answered")
      onTrouble(
        "the unit's output was not taken",
        call.kind === "problem" ? call.detail : call.reason,
      );
  }
}
