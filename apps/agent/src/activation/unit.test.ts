import { FIRST_ATTEMPT, nextAttempt } from "@nixwave/effects";
import { journal, rollout } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { parseUnitName, type UnitRef, unitName } from "./unit.ts";

const UNIT: UnitRef = {
  rolloutId: rollout("stable@a1"),
  journalId: journal("1"),
  attempt: FIRST_ATTEMPT,
  purpose: "switch",
  tryNo: 1,
};
const UNITS: readonly UnitRef[] = [
  UNIT,
  { ...UNIT, purpose: "rollback" },
  { ...UNIT, tryNo: 12 },
  { ...UNIT, attempt: nextAttempt(FIRST_ATTEMPT) },
  { ...UNIT, journalId: journal("2") },
  { ...UNIT, rolloutId: rollout("stable-1@a1") },
  { ...UNIT, rolloutId: rollout("switch-rollback_2-1@b2") },
];

test("each part of a unit is in its name, and is read back from it: no try meets what an earlier one left (hazard 58)", () => {
  const names = UNITS.map(unitName);
  expect(new Set(names).size).toBe(UNITS.length);
  expect(names.map(parseUnitName)).toEqual(UNITS);
});

test("a name is one that systemd takes for a plain unit: no template, no path, short enough", () => {
  const longest = unitName({
    ...UNIT,
    rolloutId: rollout(`${"c".repeat(64)}@a1`),
    tryNo: 1_000_000,
  });
  expect(longest).toMatch(/^[a-zA-Z0-9_.-]+$/);
  expect(`${longest}.service`.length).toBeLessThan(256);
});

test.each([
  "",
  "nixwave-agent",
  `${unitName(UNIT)}.new.4711`,
  unitName(UNIT).replace("switch", "reboot"),
  unitName(UNIT).replace(/-1-1$/, "-0-1"),
  unitName(UNIT).replace(/-1-1$/, "-1"),
])("%s is not ours", (name) => {
  expect(parseUnitName(name)).toBeNull();
});
