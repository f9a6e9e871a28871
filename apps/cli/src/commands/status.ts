import type { RolloutView } from "@nixwave/protocol";
import { type Desk, wire } from "../desk.ts";
import { type ExitCode, exitCode } from "../exit.ts";
import { statusScreen } from "../render/status.ts";
import { seenOf, settled, stalled, type Verdict, verdictsOf } from "../verdict.ts";
import { type Look, type WatchOptions, watch } from "../watch.ts";

export async function status(desk: Desk, options: WatchOptions): Promise<ExitCode> {
  let verdicts: readonly Verdict[] = [];
  const look = async (): Promise<Look> => {
    const view = await desk.ask("getStatus", {});
    const looked: RolloutView[] = [];
    for (const { rolloutId } of stalled(view)) {
      looked.push(await desk.ask("getRollout", { params: { rolloutId } }));
    }
    verdicts = verdictsOf(view, looked);
    return {
      lines: statusScreen(desk.style, view),
      json: wire("getStatus", view),
      sameAs: JSON.stringify(view.channels),
      settled: settled(verdicts),
    };
  };
  const { timedOut } = await watch(desk, options, look);
  return exitCode(seenOf(verdicts, timedOut));
}
