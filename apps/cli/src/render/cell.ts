import type { RolloutState } from "@nixwave/effects";
import { SHOWN, type Shown } from "@nixwave/protocol";
import { paint, type Style, type Tone } from "./style.ts";

interface Look {
  readonly glyph: string;
  readonly tone: Tone;
}

/** What one host looks like, in a wave's bar and before its word. Only what has shown its health is green. */
export const CELLS = {
  waiting: { glyph: "·", tone: "quiet" },
  dispatched: { glyph: "◦", tone: "busy" },
  activating: { glyph: "░", tone: "busy" },
  deferred: { glyph: "◌", tone: "waiting" },
  soaking: { glyph: "▒", tone: "busy" },
  converged: { glyph: "█", tone: "good" },
  "rolling-back": { glyph: "↺", tone: "bad" },
  failed: { glyph: "✗", tone: "bad" },
  reverted: { glyph: "↶", tone: "bad" },
  lost: { glyph: "?", tone: "bad" },
  skipped: { glyph: "–", tone: "quiet" },
} as const satisfies Record<Shown, Look>;

/** The order of a bar: from what has shown its health, over what failed, to what has not moved. */
export const BAR_ORDER = [
  "converged",
  "soaking",
  "activating",
  "dispatched",
  "deferred",
  "rolling-back",
  "failed",
  "reverted",
  "lost",
  "skipped",
  "waiting",
] as const satisfies readonly Shown[];

const ROLLOUT_LOOKS = {
  Active: { glyph: "▶", tone: "busy" },
  Completed: { glyph: "✓", tone: "good" },
  Failed: { glyph: "✗", tone: "bad" },
  Reverted: { glyph: "↶", tone: "bad" },
  Superseded: { glyph: "–", tone: "quiet" },
  Pruned: { glyph: "–", tone: "quiet" },
} as const satisfies Record<RolloutState, Look>;

/** A rollout's state, its glyph before the word. */
export function rolloutState(style: Style, state: RolloutState): string {
  const look = ROLLOUT_LOOKS[state];
  return paint(style, look.tone, `${look.glyph} ${state}`);
}

/** A host's word, its glyph before it. */
export function shownWord(style: Style, shown: Shown): string {
  const look = CELLS[shown];
  return paint(style, look.tone, `${look.glyph} ${shown}`);
}

/** One line that says what the glyphs of these bars mean, and of no others. */
export function legend(style: Style, present: ReadonlySet<Shown>): string {
  return BAR_ORDER.filter((shown) => present.has(shown))
    .map((shown) => shownWord(style, shown))
    .join("  ");
}

/** A word that fits no host is left out on the wire. */
export type Counts = { readonly [K in Shown]?: number | undefined };

export const total = (counts: Counts): number =>
  SHOWN.reduce((sum, shown) => sum + (counts[shown] ?? 0), 0);
