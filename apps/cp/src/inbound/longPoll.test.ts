import {
  addSecs,
  FIRST_ATTEMPT,
  type Instant,
  instant,
  parseChannel,
  parseChannelRef,
  parseClosureHash,
  parseHostName,
  parseJournalId,
  type Result,
  rolloutId,
} from "@nixwave/effects";
import type { DispatchOffer } from "@nixwave/protocol";
import { expect, it } from "vitest";
import type { AnswerOf, NotNow, TakeDispatch } from "../command.ts";
import { longPoll } from "./longPoll.ts";
import { ParkedPolls } from "./parkedPolls.ts";

function sure<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const web1 = sure(parseHostName("web-1"));
const channel = sure(parseChannel("stable"));
const ref = sure(parseChannelRef("a".repeat(40)));
const start = instant(1_800_000_000_000);
const offer: DispatchOffer = {
  rolloutId: rolloutId(channel, ref),
  channel,
  ref,
  targetClosure: sure(parseClosureHash(`${"0".repeat(32)}-system`)),
  attempt: FIRST_ATTEMPT,
  wave: 1,
  soakDueAt: start,
  dispatchedAt: start,
  leaseSecs: 120,
  timestampVersion: null,
};
const take: TakeDispatch = {
  kind: "TakeDispatch",
  host: web1,
  journalId: sure(parseJournalId("0".repeat(32))),
  holding: null,
};

/** A clock that moves only when it is told to, and calls what is due then. */
class ManualTime {
  now: Instant = start;
  #calls: { readonly at: Instant; readonly call: () => void }[] = [];
  readonly clock = { now: () => this.now };
  readonly timer = {
    at: (at: Instant, call: () => void) => {
      const entry = { at, call };
      this.#calls.push(entry);
      return () => {
        this.#calls = this.#calls.filter((other) => other !== entry);
      };
    },
    soon: (call: () => void) => call(),
  };
  get pending(): readonly Instant[] {
    return this.#calls.map(({ at }) => at);
  }
  pass(secs: number): void {
    this.now = addSecs(this.now, secs);
    for (const { at, call } of this.#calls.filter((entry) => entry.at <= this.now)) {
      this.#calls = this.#calls.filter((entry) => entry.at !== at);
      call();
    }
  }
}

type Taken = AnswerOf<"TakeDispatch"> | NotNow;
const none: Taken = { kind: "none", askAgainAt: null };

/** A writer that answers polls, one after the other, with what the test says. */
function rig(answers: Taken[]) {
  const time = new ManualTime();
  const polls = new ParkedPolls(1);
  const asked: Instant[] = [];
  const answer = async (): Promise<Taken> => {
    asked.push(time.now);
    return answers.shift() ?? none;
  };
  const gone = new AbortController();
  const poll = (waitSecs: number) =>
    longPoll(
      { take: answer, polls, clock: time.clock, timer: time.timer },
      { take, waitSecs, gone: gone.signal },
    );
  return { time, polls, asked, gone, poll };
}

/** Lets everything that is not waiting for time or a wake go on. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

it("answers at once with what is queued, and leaves no place behind", async () => {
  const { poll, polls } = rig([{ kind: "offer", offer }]);
  expect(await poll(60)).toEqual(offer);
  expect(polls.size).toBe(0);
});

it("parks, is woken, takes", async () => {
  const { poll, polls, time } = rig([none, { kind: "offer", offer }]);
  const answer = poll(60);
  await settle();
  expect(polls.size).toBe(1);
  polls.wake(web1);
  expect(await answer).toEqual(offer);
  expect(time.pending).toEqual([]);
});

it("does not miss a dispatch that is committed while the writer answers", async () => {
  const time = new ManualTime();
  const polls = new ParkedPolls(1);
  const answers: Taken[] = [none, { kind: "offer", offer }];
  const answer = async (): Promise<Taken> => {
    polls.wake(web1);
    return answers.shift() ?? none;
  };
  const ports = { take: answer, polls, clock: time.clock, timer: time.timer };
  const { signal } = new AbortController();
  expect(await longPoll(ports, { take, waitSecs: 60, gone: signal })).toEqual(offer);
});

it("answers nothing after its wait, having asked twice", async () => {
  const { poll, time, asked, polls } = rig([]);
  const answer = poll(60);
  await settle();
  expect(time.pending).toEqual([addSecs(start, 60)]);
  time.pass(60);
  expect(await answer).toBeNull();
  expect(asked).toEqual([start, addSecs(start, 60)]);
  expect(polls.size).toBe(0);
});

it("asks again when a lease ends, and never in a hot loop", async () => {
  const stale: Taken = { kind: "none", askAgainAt: start };
  const { poll, time, asked } = rig([
    { kind: "none", askAgainAt: addSecs(start, 20) },
    stale,
    stale,
  ]);
  const answer = poll(60);
  await settle();
  time.pass(20);
  await settle();
  expect(time.pending).toEqual([addSecs(start, 21)]);
  time.pass(1);
  await settle();
  expect(asked).toHaveLength(3);
  time.pass(60);
  expect(await answer).toBeNull();
});

it("a poll that holds its dispatch waits its wait, whatever its lease", async () => {
  const { poll, time } = rig([{ kind: "held" }, { kind: "held" }]);
  const answer = poll(30);
  await settle();
  expect(time.pending).toEqual([addSecs(start, 30)]);
  time.pass(30);
  expect(await answer).toBeNull();
});

it("hazard 79: at stop a parked poll is answered nothing", async () => {
  const { poll, polls } = rig([]);
  const answer = poll(60);
  await settle();
  polls.stop();
  expect(await answer).toBeNull();
});

it("frees its place and its timer when the agent hangs up", async () => {
  const { poll, polls, gone, time } = rig([]);
  const answer = poll(60);
  await settle();
  gone.abort();
  expect(await answer).toBeNull();
  expect(polls.size).toBe(0);
  expect(time.pending).toEqual([]);
});

it("says so when no place is left, and passes a refusal on", async () => {
  const full = rig([]);
  full.polls.take(sure(parseHostName("web-2")));
  await expect(full.poll(60)).rejects.toMatchObject({ problem: { code: "queue-full" } });
  const old = rig([{ kind: "refused", code: "old-journal", sentence: "start a new journal" }]);
  await expect(old.poll(60)).rejects.toMatchObject({
    problem: { code: "old-journal", detail: "start a new journal" },
  });
  expect(old.polls.size).toBe(0);
});
