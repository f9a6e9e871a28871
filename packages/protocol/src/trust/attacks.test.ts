import { addSecs } from "@nixwave/effects";
import { expect, test } from "vitest";
import { ATTACKS } from "./attack.ts";
import { ATTACKS_SEEN, edge, Forger, NOW, stable } from "./attacks.fixture.ts";
import { clientOf } from "./forger.fixture.ts";

test.each(ATTACKS_SEEN)("$name: $code", async ({ code, on, daysLater, prepare }) => {
  const forger = Forger.honest();
  const strike = prepare(forger);
  const client = clientOf(forger);
  try {
    expect([await client.judge(stable), await client.judge(edge)]).toEqual(["ok", "ok"]);
    strike();
    const now = addSecs(NOW, daysLater * 86_400);
    for (const channel of [stable, edge]) {
      const expected = on === "both" || on === channel ? code : "ok";
      expect(await client.judge(channel, now), channel).toBe(expected);
    }
  } finally {
    client.remove();
    forger.remove();
  }
});

test("each attack that has a code is in the table", () => {
  const codes = new Set<string>(ATTACKS_SEEN.map(({ code }) => code));
  expect(Object.keys(ATTACKS).filter((code) => !codes.has(code))).toEqual([]);
});
