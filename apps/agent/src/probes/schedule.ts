import { pause, type Random, type Timer } from "../ports.ts";
import { type CheckOutcome, failed, messageOf, type RunCheck } from "./check.ts";

export interface Schedule {
  readonly intervalSecs: number;
  readonly run: RunCheck;
  readonly report: (outcome: CheckOutcome) => Promise<void>;
}

/** A tenth either way: probes that began together, on one host or on thousands, drift apart. */
const JITTER = 0.1;

/**
 * The first run at once, then one after each interval, never two at a time: a run that takes longer than its interval
 * delays the next. Resolves when `signal` is aborted and the run in hand has ended; what it found is then not reported.
 */
export async function runOnSchedule(
  { intervalSecs, run, report }: Schedule,
  ports: { readonly timer: Timer; readonly random: Random },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const outcome = await settled(run, signal);
    if (signal.aborted) return;
    await report(outcome);
    const factor = 1 - JITTER + ports.random.unit() * 2 * JITTER;
    await pause(ports.timer, intervalSecs * 1000 * factor, signal);
  }
}

/** A runner that throws is our bug, and still must not read as silence or as health. */
async function settled(run: RunCheck, signal: AbortSignal): Promise<CheckOutcome> {
  try {
    return await run(signal);
  } catch (cause) {
    return failed(`the probe broke: ${messageOf(cause)}`);
  }
}
