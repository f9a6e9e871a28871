import type { RolloutId } from "@nixwave/effects";
import { type HostRow, PAGE_LIMIT_MAX } from "@nixwave/protocol";
import { type Desk, wire } from "../desk.ts";
import { type ExitCode, exitCode } from "../exit.ts";
import { findRollout } from "../find.ts";
import { rolloutScreen } from "../render/rollout.ts";
import { seenOf, settled, type Verdict, verdictOf } from "../verdict.ts";
import { type Look, type WatchOptions, watch } from "../watch.ts";

export async function showRollout(
  desk: Desk,
  text: string,
  options: WatchOptions,
): Promise<ExitCode> {
  const rolloutId = await findRollout(desk, text);
  let verdict: Verdict = "moving";
  const look = async (): Promise<Look> => {
    const view = await desk.ask("getRollout", { params: { rolloutId } });
    verdict = verdictOf(view);
    const hosts = desk.json ? [] : await restless(desk, rolloutId);
    return {
      lines: rolloutScreen(desk.style, view, hosts),
      json: wire("getRollout", view),
      sameAs: JSON.stringify([
        view.rollout,
        view.waves.map(({ counts, state }) => [counts, state]),
      ]),
      settled: settled([verdict]),
    };
  };
  const { timedOut } = await watch(desk, options, look);
  return exitCode(seenOf([verdict], timedOut));
}

/** Words of hosts that a rollout's screen may list, those that need an eye first. */
const RESTLESS = [
  "failed",
  "rolling-back",
  "reverted",
  "lost",
  "activating",
  "soaking",
  "deferred",
  "dispatched",
  "skipped",
  "waiting",
] as const;

/** One page of a small rollout is all of it; of a large one, a page of each word, in the order of the screen. */
async function restless(desk: Desk, rolloutId: RolloutId): Promise<readonly HostRow[]> {
  const first = await desk.ask("getRolloutHosts", {
    params: { rolloutId },
    query: { limit: PAGE_LIMIT_MAX },
  });
  if (first.next === null) return first.items;
  const rows: HostRow[] = [];
  for (const shown of RESTLESS) {
    const { items } = await desk.ask("getRolloutHosts", {
      params: { rolloutId },
      query: { limit: 20, shown },
    });
    rows.push(...items);
  }
  return rows;
}
