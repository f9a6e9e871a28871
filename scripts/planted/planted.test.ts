import { expect, test } from "vitest";
import { BUGS } from "./bugs.ts";
import { hunt, isCaught } from "./hunt.ts";
import { huntedText } from "./table.ts";

// The known place first, and a short search where it is no place any more, because the simulator has changed. The whole
// search is `pnpm planted`.
const BOUNDS = { seedsMax: 60, secondsMax: 90 };

test.each(BUGS)("planted: $name", { timeout: 300_000 }, async (bug) => {
  const hunted = await hunt(bug, BOUNDS);
  expect(isCaught(hunted), huntedText(hunted)).toBe(true);
});
