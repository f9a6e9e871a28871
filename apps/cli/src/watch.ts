import { type Desk, print } from "./desk.ts";
import { Patience } from "./patience.ts";

/** Between two looks: quick enough for an eye, and one request a second is nothing to a control plane. */
export const LOOK_SECS = 1;

const CLEAR_BELOW = "\u001B[J";
const HOME = "\u001B[H";
const CLEAR_SCREEN = "\u001B[2J";

/** What one look at the control plane gave. */
export interface Look {
  readonly lines: readonly string[];
  /** One line of JSON. */
  readonly json: string;
  /** Equal for two looks between which nothing happened but time. */
  readonly sameAs: string;
  readonly settled: boolean;
}

export interface WatchOptions {
  readonly watch: boolean;
  /** Wait until settled, at most so many seconds. */
  readonly waitSecs: number | null;
}

/**
 * Looks once, or again and again. On a terminal a watch redraws in place; anywhere else, and with --json, it prints what
 * it sees when something but the time has changed. Ends by Ctrl-C, or, waiting, when settled or out of time.
 */
export async function watch(
  desk: Desk,
  options: WatchOptions,
  look: () => Promise<Look>,
): Promise<{ readonly timedOut: boolean }> {
  const { surroundings } = desk;
  const redraw = options.watch && !desk.json && surroundings.terminal.screen;
  const startedAt = surroundings.now();
  const patience = new Patience(desk);
  let last: string | null = null;
  if (redraw) surroundings.terminal.data(CLEAR_SCREEN);
  for (;;) {
    const seen = await patience.ask(look);
    if (seen === null) {
      await surroundings.wait(LOOK_SECS);
      if (surroundings.stop.aborted) return { timedOut: false };
      const lateMs = surroundings.now() - startedAt;
      if (options.waitSecs !== null && lateMs >= options.waitSecs * 1000) return { timedOut: true };
      continue;
    }
    const waiting = options.waitSecs !== null && !seen.settled;
    const over =
      options.waitSecs !== null && surroundings.now() - startedAt >= options.waitSecs * 1000;
    const goesOn = options.watch ? options.waitSecs === null || waiting : waiting;
    const isLast = !goesOn || over;
    if (redraw) redrawn(desk, seen.lines);
    else if (options.watch ? seen.sameAs !== last : isLast) {
      print(desk, desk.json ? [seen.json] : seen.lines);
    }
    last = seen.sameAs;
    if (isLast) return { timedOut: waiting && over };
    await surroundings.wait(LOOK_SECS);
    if (surroundings.stop.aborted) return { timedOut: false };
  }
}

/** Line by line over what stood there, so that nothing flickers; lines that don't fit are cut with the screen. */
function redrawn({ surroundings: { terminal } }: Desk, lines: readonly string[]): void {
  const fitting = lines.slice(0, Math.max(1, terminal.rows() - 1));
  terminal.data(`${HOME}${fitting.map((line) => `${line}\u001B[K`).join("\n")}\n${CLEAR_BELOW}`);
}
