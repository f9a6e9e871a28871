import {
  type AgentRun,
  type Channel,
  type HostName,
  type Instant,
  isInFlight,
} from "@nixwave/effects";
import { askedOf, type LastAsk, lastAskAfter, timerAt } from "./asking.ts";
import { commit } from "./commit/commit.ts";
import { decide } from "./decide/decide.ts";
import { type Answer, type Input, type InputKind, type Mailbox, rolloutOf } from "./input.ts";
import type { Journal } from "./journal/journal.ts";
import type { Outage } from "./outage.ts";
import { type Performers, perform } from "./perform/perform.ts";
import type { Cancel, Timer } from "./ports.ts";
import type { SteadyClock } from "./steadyClock.ts";

export interface LoopParts {
  readonly host: HostName;
  readonly channel: Channel;
  readonly journal: Journal;
  readonly clock: SteadyClock;
  readonly timer: Timer;
  readonly mailbox: Mailbox;
  readonly performers: Performers;
  readonly outage: Outage;
  readonly isOutboxFull: () => boolean;
  readonly onInput: (kind: InputKind) => void;
  /** Something was written: the drainer may have lines to send. */
  readonly onCommitted: () => void;
}

/** One input at a time: load, decide, commit, perform. It never waits: workers answer with inputs of their own. */
export class Loop {
  readonly #parts: LoopParts;
  readonly #run: AgentRun;
  #lastAsk: LastAsk | null = null;
  #cancelTimer: Cancel = () => {};

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#run = { startedAt: parts.clock.now() };
  }

  /** Takes one input to its end. Throws where the journal can't be written: nothing has happened then. */
  take(input: Input): Answer {
    const { host, channel, journal, clock, performers, isOutboxFull } = this.#parts;
    const now = clock.now();
    const loaded = journal.load(rolloutOf(input));
    const asked = askedOf(loaded.current, this.#lastAsk, now);
    const run = this.#run;
    const outboxFull = isOutboxFull();
    const decision = decide(input, { ...loaded, now, host, channel, run, outboxFull, asked });
    performers.crash.at("before-commit");
    const written = commit(journal, decision, now);
    performers.crash.at("after-commit");
    this.#parts.onInput(input.kind);
    perform(decision, performers);
    const current = written ? journal.records.current() : loaded.current;
    this.#lastAsk = lastAskAfter(decision, current, this.#lastAsk, now);
    if (current === null || !isInFlight(current)) clock.followWall();
    this.#setTimer(timerAt(current, this.#lastAsk, run, now), now);
    if (written) this.#committed();
    return decision.answer;
  }

  stop(): void {
    this.#cancelTimer();
  }

  #committed(): void {
    this.#parts.outage.over();
    this.#parts.onCommitted();
  }

  #setTimer(at: Instant | null, now: Instant): void {
    this.#cancelTimer();
    const { timer, mailbox } = this.#parts;
    // A mailbox that is full or closed needs no timer: the next input sets it again.
    const fire = (): void => void mailbox.submit({ kind: "TimerFired" }).catch(() => {});
    this.#cancelTimer = at === null ? () => {} : timer.after(Math.max(0, at - now), fire);
  }
}
