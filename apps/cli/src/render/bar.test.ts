import { SHOWN } from "@nixwave/protocol";
import { expect, test } from "vitest";
import { bar, shares } from "./bar.ts";
import { legend, total } from "./cell.ts";

const PLAIN = { colour: false, columns: 80, timeZone: "UTC" };

test.each([
  [{ converged: 2 }, "██████████"],
  [{}, "··········"],
  [{ converged: 3, soaking: 3, waiting: 3 }, "████▒▒▒···"],
  [{ converged: 1, waiting: 1 }, "█████·····"],
  [{ failed: 1, converged: 9999 }, "█████████✗"],
  [{ skipped: 1, lost: 1, "rolling-back": 1, reverted: 1, deferred: 1 }, "◌◌↺↺↶↶??––"],
])("a bar of %j reads %s", (counts, text) => {
  expect(bar(PLAIN, counts, 10)).toBe(text);
});

test("never more or fewer columns than asked for, and never a word without its column", () => {
  for (let seed = 0; seed < 3000; seed += 1) {
    const counts = Object.fromEntries(
      SHOWN.map((shown, at) => [
        shown,
        ((seed * (at + 3) * 2_654_435_761) >>> 13) % ((seed % 40) + 1),
      ]),
    );
    const share = shares(counts, 22);
    expect(total(share), `seed ${seed}`).toBe(22);
    for (const shown of SHOWN) {
      if (total(counts) > 0)
        expect(share[shown] > 0, `seed ${seed} ${shown}`).toBe((counts[shown] ?? 0) > 0);
    }
  }
});

test("colour comes with a glyph and can be had without", () => {
  const coloured = bar({ ...PLAIN, colour: true }, { converged: 1, failed: 1 }, 4);
  expect(coloured).toBe("\u001B[32m██\u001B[0m\u001B[1;31m✗✗\u001B[0m");
  expect(legend(PLAIN, new Set(["converged", "soaking"]))).toBe("█ converged  ▒ soaking");
});
