import type { HttpRequest } from "@nixwave/agent";

const WINDOW_MS = 60_000;
/** Three times what the busiest minute of 350 worlds had. An agent that asks as fast as it is answered comes to hundreds. */
const ASKED_MAX = 60;

/**
 * How often one machine asks for one thing. Whatever the control plane answers, and however quickly, nothing spins
 * (hazard 80): each time costs the agent a commit or a verification too.
 */
export class Pace {
  readonly #asked = new Map<string, number[]>();

  /** A sentence where it is too often. */
  asked({ url }: HttpRequest, nowMs: number): string | null {
    const [what = url] = url.split("?", 1);
    const times = this.#asked.get(what) ?? [];
    this.#asked.set(what, times);
    while ((times[0] ?? nowMs) <= nowMs - WINDOW_MS) times.shift();
    times.push(nowMs);
    return times.length <= ASKED_MAX
      ? null
      : `asks for ${what} more than ${ASKED_MAX} times within a minute`;
  }
}
