import { describe, expect, test } from "vitest";
import {
  isAttempt,
  isSeq,
  parseBootId,
  parseChannel,
  parseChannelRef,
  parseClosureHash,
  parseControlId,
  parseFreezeId,
  parseHostName,
  parseJournalId,
  parseProbeName,
  parseRolloutId,
  rolloutId,
} from "./ids.ts";

const HASH = "0123456789abcdfghijklmnpqrsvwxyz";

describe("ids are made by parsing, and nothing else passes (hazard 10)", () => {
  test.each([
    [
      "host name",
      parseHostName,
      ["web-1", "db.example.org", "a", "1"],
      [
        "",
        "Web-1",
        "-a",
        "a-",
        "a..b",
        "a_b",
        `${"a".repeat(64)}`,
        "web 1",
        "web-1\n",
        "a".repeat(254),
      ],
    ],
    [
      "channel",
      parseChannel,
      ["stable", "lab_2", "0"],
      ["", "-x", "Stable", "a b", "a".repeat(65), "a@b"],
    ],
    ["ref", parseChannelRef, ["a".repeat(40)], ["a".repeat(39), "A".repeat(40), "g".repeat(40)]],
    [
      "rollout id",
      parseRolloutId,
      [`stable@${"a".repeat(40)}`],
      [`stable@${"a".repeat(39)}`, `@${"a".repeat(40)}`],
    ],
    [
      "closure",
      parseClosureHash,
      [`${HASH}-nixos-system-web-1-25.11`, `${HASH}-a?=+._`],
      [
        HASH,
        `${HASH}-`,
        `${HASH}-.hidden/..`,
        `${HASH}-$(x)`,
        `${HASH}-a b`,
        `e${HASH.slice(1)}-x`,
        `../${HASH}-x`,
      ],
    ],
    ["probe name", parseProbeName, ["http-app", "a.b_c"], ["", "a b", "a/b", "a".repeat(129)]],
    ["probe name as a key", parseProbeName, ["proto", "__proto"], ["__proto__", "constructor"]],
    ["control id", parseControlId, ["NIST-1.2"], ["", "a b", "__proto__", "toString"]],
    ["journal id", parseJournalId, ["0".repeat(32)], ["0".repeat(31), "G".repeat(32)]],
    ["boot id", parseBootId, ["9f3c2ab0-0000-4000-8000-000000000000"], ["", "a b", "../x"]],
    ["freeze id", parseFreezeId, ["0123456789abcdef"], ["0123456789abcde"]],
  ] as const)("%s", (_, parse, good, bad) => {
    for (const text of good) expect(parse(text)).toEqual({ ok: true, value: text });
    for (const text of bad)
      expect(parse(text)).toMatchObject({ ok: false, error: { kind: "BadId", value: text } });
  });

  test("numbers that count begin at 1", () => {
    for (const value of [0, -1, 1.5, Number.NaN, 2 ** 53])
      expect([isSeq(value), isAttempt(value)]).toEqual([false, false]);
    expect([isSeq(1), isAttempt(1)]).toEqual([true, true]);
  });

  test("one ref on two channels makes two rollouts (hazard 11)", () => {
    const ref = parseChannelRef("a".repeat(40));
    const stable = parseChannel("stable");
    const edge = parseChannel("edge");
    if (!ref.ok || !stable.ok || !edge.ok) throw new Error("these are well formed");
    expect(rolloutId(stable.value, ref.value)).not.toBe(rolloutId(edge.value, ref.value));
  });
});
