import { invariant } from "@nixwave/effects";
import type { Crash } from "./ports.ts";

/** Every place at which a test may kill the control plane; a test compares this list with the code. */
export const CRASH_POINTS = [
  "before-commit",
  "inside-commit",
  "after-commit",
  "before-metrics",
  "after-metrics",
  "before-logs",
  "after-logs",
  "before-wake",
  "after-wake",
  "before-answer",
  "after-answer",
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

const isCrashPoint = (text: string): text is CrashPoint =>
  CRASH_POINTS.some((point) => point === text);

export const NO_CRASH: Crash = { point: () => undefined };

/**
 * A test seam, not an option for people: NIXWAVE_CRASH_AT=`<point>` or `<point>:<n>` makes the process end itself, by `kill`,
 * the n-th time that it comes to that place. An unknown name is our bug and says so at once.
 */
export function crashFrom(setting: string | undefined, kill: () => void): Crash {
  if (setting === undefined || setting === "") return NO_CRASH;
  const [name = "", times = "1"] = setting.split(":");
  invariant(
    isCrashPoint(name) && /^[1-9][0-9]*$/.test(times),
    `NIXWAVE_CRASH_AT is <point> or <point>:<n>, with one of ${CRASH_POINTS.join(", ")}, not "${setting}"`,
  );
  let left = Number(times);
  return {
    point(reached) {
      if (reached !== name) return;
      left -= 1;
      if (left === 0) kill();
    },
  };
}

/** The real way to die: nothing runs after it, as in a power cut of the process. */
export const killSelf = (): void => {
  process.kill(process.pid, "SIGKILL");
};
