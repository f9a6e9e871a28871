import type { HostName } from "../ids.ts";
import type { Instant } from "../time.ts";
import type { Explanation } from "./explanation.ts";
import type { Fleet } from "./fleet.ts";

/** Total over hosts, any name at all. Asks the gates of the plan, afresh. */
export function explainHost(fleet: Fleet, host: HostName, now: Instant): Explanation {
  const since = { at: fleet.readyAt, atLeast: now > fleet.readyAt };
  return {
    host,
    rolloutId: null,
    wave: null,
    answer: { kind: "no-release", channel: null },
    since,
    earliest: null,
    clears: null,
  };
}
