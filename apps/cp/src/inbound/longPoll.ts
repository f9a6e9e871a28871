import { addSecs, type Instant, instant } from "@nixwave/effects";
import type { DispatchOffer } from "@nixwave/protocol";
import type { AnswerOf, NotNow, TakeDispatch } from "../command.ts";
import type { Clock, Timer } from "../ports.ts";
import { granted } from "./granted.ts";
import type { ParkedPolls, Place } from "./parkedPolls.ts";
import { ProblemError } from "./problemError.ts";

export interface PollPorts {
  /** Asks the writer, which answers after its commit. */
  readonly take: (command: TakeDispatch) => Promise<AnswerOf<"TakeDispatch"> | NotNow>;
  readonly polls: ParkedPolls;
  readonly clock: Clock;
  readonly timer: Timer;
}

export interface Poll {
  readonly take: TakeDispatch;
  readonly waitSecs: number;
  readonly gone: AbortSignal;
}

/** A lease that is over but still not free would otherwise be asked for in a hot loop. */
const ASK_AGAIN_SECS_MIN = 1;

/** Settles at `until`, when the place is woken, or when the agent hangs up; leaves no timer and no listener behind. */
async function waitAt(
  place: Place,
  until: Instant,
  { timer, gone }: { readonly timer: Timer; readonly gone: AbortSignal },
): Promise<"again" | "over"> {
  let cancel: () => void = () => {};
  let hangUp: () => void = () => {};
  const time = new Promise<"again">((resolve) => {
    cancel = timer.at(until, () => resolve("again"));
  });
  const hungUp = new Promise<"over">((resolve) => {
    hangUp = () => resolve("over");
    gone.addEventListener("abort", hangUp, { once: true });
    if (gone.aborted) resolve("over");
  });
  const woken = place.woken.then((why) => (why === "woken" ? "again" : "over"));
  try {
    return await Promise.race([woken, time, hungUp]);
  } finally {
    cancel();
    gone.removeEventListener("abort", hangUp);
  }
}

/**
 * One poll: what is dispatched to the host, or null after its wait. The place is taken before the writer is asked, so
 * that a dispatch which is committed between the two wakes it.
 */
export async function longPoll(ports: PollPorts, poll: Poll): Promise<DispatchOffer | null> {
  const { clock } = ports;
  const deadline = addSecs(clock.now(), poll.waitSecs);
  for (;;) {
    const place = ports.polls.take(poll.take.host);
    if (place === null) {
      throw ProblemError.of("queue-full", "Too many polls are parked here. Poll again later.");
    }
    try {
      const answer = granted(await ports.take(poll.take));
      if (answer.kind === "offer") return answer.offer;
      const now = clock.now();
      if (now >= deadline) return null;
      const lease = answer.kind === "none" ? answer.askAgainAt : null;
      const soonest = addSecs(now, ASK_AGAIN_SECS_MIN);
      const until =
        lease === null ? deadline : instant(Math.min(deadline, Math.max(lease, soonest)));
      if ((await waitAt(place, until, { timer: ports.timer, gone: poll.gone })) === "over") {
        return null;
      }
    } finally {
      place.leave();
    }
  }
}
