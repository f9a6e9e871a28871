import { instant, type Release } from "@nixwave/effects";
import { parseLine } from "../log/read.ts";
import { EMPTY_LOG } from "../log/segment.ts";
import type { Stamped } from "../store/change.ts";
import { fold } from "../store/fold.ts";
import { applyToMemory, emptyMemory } from "../store/memory.ts";

/** Folds stored lines one after another, from the first, with nothing but the releases: for a log that is folded while it grows. */
export class LogFold {
  readonly #memory = emptyMemory(instant(0), EMPTY_LOG);

  know(release: Release): void {
    this.#memory.releases.set(release.rolloutId, release);
  }

  /** What the line changes, in order. */
  take(text: string): readonly Stamped[] {
    const line = parseLine(text);
    const { changes } = fold(this.#memory, line, () => undefined);
    for (const change of changes) applyToMemory(this.#memory, change);
    return changes.map((change) => ({ offset: line.offset, change }));
  }
}
