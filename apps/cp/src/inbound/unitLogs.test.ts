import { FIRST_ATTEMPT } from "@nixwave/effects";
import { hostName, rollout, START } from "@nixwave/testkit";
import { expect, it } from "vitest";
import { type UnitLog, UnitLogs } from "./unitLogs.ts";

const log = (host: string, text: string, on = "stable@a1"): UnitLog => ({
  host: hostName(host),
  rolloutId: rollout(on),
  attempt: FIRST_ATTEMPT,
  purpose: "switch",
  receivedAt: START,
  text,
});

it("keeps the last two of a host, and answers the newest of the rollout asked for", () => {
  const logs = new UnitLogs();
  logs.put(log("web-1", "first"));
  logs.put(log("web-1", "second", "stable@b2"));
  logs.put(log("web-1", "third", "stable@b2"));
  expect(logs.newest(hostName("web-1"), undefined)?.text).toBe("third");
  expect(logs.newest(hostName("web-1"), rollout("stable@a1"))).toBeNull();
  expect(logs.newest(hostName("web-2"), undefined)).toBeNull();
});

it("drops the hosts that were heard longest ago, never the one that has just come", () => {
  const logs = new UnitLogs();
  for (let n = 0; n < 600; n += 1) logs.put(log(`web-${n}`, String(n)));
  expect(logs.newest(hostName("web-0"), undefined)).toBeNull();
  expect(logs.newest(hostName("web-87"), undefined)).toBeNull();
  expect(logs.newest(hostName("web-88"), undefined)?.text).toBe("88");
  expect(logs.newest(hostName("web-599"), undefined)?.text).toBe("599");
});
