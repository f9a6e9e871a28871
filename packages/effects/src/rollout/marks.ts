import type { Attempt } from "../ids.ts";
import { invariant } from "../invariant.ts";
import type { Input } from "./input.ts";
import type { HostMarks } from "./state.ts";

/** What an input says about one host of one rollout. The same reference where it says nothing of it. */
export function stepMarks(marks: HostMarks, input: Input): HostMarks {
  invariant(input.kind === "RolloutOpened", "being written");
  return marks;
}

/** The DispatchAck of an attempt pays what was owed up to that attempt, and starts with a clean slate. */
export function ackMarks(marks: HostMarks, attempt: Attempt): HostMarks {
  invariant(attempt > 0, "being written");
  return marks;
}
