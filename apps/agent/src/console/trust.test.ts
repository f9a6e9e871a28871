import { addSecs } from "@nixwave/effects";
import { START } from "@nixwave/testkit";
import { expect, test } from "vitest";
import type { HostReleases } from "../releases.ts";
import { shownTrust, trustRows } from "./trust.ts";

const nothing: HostReleases = {
  find: () => Promise.reject(new Error("nobody looks for a release here")),
  refresh: () => Promise.reject(new Error("nor for metadata")),
  state: null,
  trouble: null,
  close: () => {},
};
const day = (count: number) => addSecs(START, count * 86_400);
const verified: HostReleases = {
  ...nothing,
  state: {
    verifiedAt: START,
    rootVersion: 3,
    signedAt: START,
    expiries: [
      { role: "timestamp", expiresAt: day(7), validDays: 7 },
      { role: "root", expiresAt: day(300), validDays: 365 },
    ],
  },
};
const text = (of: HostReleases, now = START) => {
  const shown = shownTrust(of, now);
  return shown === null ? null : trustRows(shown).map((row) => row.join(": "));
};

test("where no root is configured nothing is said to be trusted", () => {
  expect(text({ ...nothing, refresh: null })).toBeNull();
});

test("before the first look it says so, and after it the root's version and what ends first", () => {
  expect(text(nothing)).toEqual(["trusts: nothing verified yet since the start"]);
  expect(text(verified)).toEqual([
    "trusts: root version 3; timestamp is valid until 2026-01-12T12:00:00.000Z",
  ]);
});

test("a quarter of the time left is said with what to do, and so is what could not be trusted", () => {
  expect(text(verified, day(6))?.[0]).toMatch(/until \S+, which is soon: nixwave refresh$/);
  const trouble = { code: "rollback", reason: "timestamp.json: is older", at: START } as const;
  expect(text({ ...verified, trouble })?.[1]).toBe(
    "distrusts: rollback at 2026-01-05T12:00:00.000Z: timestamp.json: is older",
  );
});
