import { expect, test } from "vitest";
import { BUGS } from "./bugs.ts";
import { type Hunted, isCaught } from "./hunt.ts";
import { blindRow, huntedText } from "./table.ts";

const I3 = { invariant: "I3", detail: "Converged before\n  the soak was over" };

function hunted(over: Partial<Hunted>): Hunted {
  const bug = BUGS.find(({ name }) => name === "soak-from-dispatch");
  if (bug === undefined) throw new Error("no bug is named soak-from-dispatch");
  const found = { ground: { kind: "seed", seed: 7 }, ...I3 } as const;
  return { bug, found, tried: 3, sound: null, seconds: 4.2, ...over };
}

test("found: by which invariant, where, after how many worlds, with one line of evidence", () => {
  expect(isCaught(hunted({}))).toBe(true);
  const [head, what, evidence] = huntedText(hunted({})).split("\n");
  expect(head).toMatch(/^found {2}soak-from-dispatch +by I3 in seed 7, after 3 worlds, 4 s$/);
  expect(what).toContain("The soak counts from the dispatch");
  expect(evidence?.trim()).toBe("Converged before the soak was over");
});

test.each([
  ["nothing tells", hunted({ found: null }), "nowhere within the bound"],
  ["the same world fails without it", hunted({ sound: I3 }), "and without it: I3"],
  [
    "another invariant tells",
    hunted({ found: { ...I3, ground: { kind: "seed", seed: 7 }, invariant: "I9" } }),
    "expected to be told by I3",
  ],
])("missed where %s", (_, miss, said) => {
  expect(isCaught(miss)).toBe(false);
  expect(huntedText(miss)).toMatch(/^MISSED/);
  expect(huntedText(miss)).toContain(said);
});

test.each([
  ["after 3 seeds", hunted({}), "I3 | after 3 seeds | seed 2 |"],
  ["by the first one", hunted({ tried: 1 }), "I3 | by the first seed | seed 2 |"],
  ["by none", hunted({ found: null, tried: 90 }), "I3 | not within 90 seeds | seed 2 |"],
])("blindly: %s", (_, measured, row) => {
  expect(blindRow(measured)).toMatch(/^\| soak-from-dispatch \| The soak counts [^|]* \| /);
  expect(blindRow(measured).endsWith(row)).toBe(true);
});
