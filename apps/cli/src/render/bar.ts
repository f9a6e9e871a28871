import type { Shown } from "@nixwave/protocol";
import { BAR_ORDER, CELLS, type Counts, total } from "./cell.ts";
import { paint, type Style } from "./style.ts";

/**
 * Hosts shared out over `columns`, by largest remainder. Whatever there is at all gets one column, if there are columns enough:
 * one failed host among ten thousand must be seen.
 */
export function shares(counts: Counts, columns: number): { readonly [K in Shown]: number } {
  const all = total(counts);
  const share: Record<Shown, number> = {
    waiting: 0,
    dispatched: 0,
    activating: 0,
    deferred: 0,
    soaking: 0,
    converged: 0,
    "rolling-back": 0,
    failed: 0,
    reverted: 0,
    lost: 0,
    skipped: 0,
  };
  if (all === 0) return { ...share, waiting: columns };
  const exact = (shown: Shown): number => ((counts[shown] ?? 0) * columns) / all;
  const remainder = (shown: Shown): number => exact(shown) - Math.floor(exact(shown));
  const present = BAR_ORDER.filter((shown) => (counts[shown] ?? 0) > 0);
  for (const shown of present) share[shown] = Math.max(1, Math.floor(exact(shown)));
  let left = columns - present.reduce((sum, shown) => sum + share[shown], 0);
  for (const shown of present.toSorted((a, b) => remainder(b) - remainder(a))) {
    if (left <= 0) break;
    share[shown] += 1;
    left -= 1;
  }
  // One column for each of many small shares can be too many together: the widest pays.
  for (; left < 0; left += 1) {
    const widest = present.reduce((most, shown) => (share[shown] > share[most] ? shown : most));
    share[widest] -= 1;
  }
  return share;
}

export function bar(style: Style, counts: Counts, columns: number): string {
  const share = shares(counts, columns);
  return BAR_ORDER.map((shown) =>
    paint(style, CELLS[shown].tone, CELLS[shown].glyph.repeat(share[shown])),
  ).join("");
}
