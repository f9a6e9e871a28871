import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addSecs, FIRST_ATTEMPT } from "@nixwave/effects";
import { hostName, rollout, START } from "@nixwave/testkit";
import { afterEach, expect, it } from "vitest";
import { unitLogShelf } from "./unitLogShelf.ts";
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
  const logs = new UnitLogs(null);
  logs.put(log("web-1", "first"));
  logs.put(log("web-1", "second", "stable@b2"));
  logs.put(log("web-1", "third", "stable@c3"));
  expect(logs.newest(hostName("web-1"), undefined)?.text).toBe("third");
  expect(logs.newest(hostName("web-1"), rollout("stable@a1"))).toBeNull();
  expect(logs.newest(hostName("web-2"), undefined)).toBeNull();
});

it("drops the hosts that were heard longest ago, never the one that has just come", () => {
  const logs = new UnitLogs(null);
  for (let n = 0; n < 600; n += 1) logs.put(log(`web-${n}`, String(n)));
  expect(logs.newest(hostName("web-0"), undefined)).toBeNull();
  expect(logs.newest(hostName("web-87"), undefined)).toBeNull();
  expect(logs.newest(hostName("web-88"), undefined)?.text).toBe("88");
  expect(logs.newest(hostName("web-599"), undefined)?.text).toBe("599");
});

const dir = mkdtempSync(join(tmpdir(), "nixwave-unit-logs-"));
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const said: string[] = [];
const shelf = () => unitLogShelf(dir, { log: (_, message) => void said.push(message) });

it("has after a restart what it had before, the newest last, and no more of it", () => {
  const before = new UnitLogs(shelf());
  for (let n = 0; n < 600; n += 1)
    before.put({ ...log(`web-${n}`, `${n} ü`), receivedAt: addSecs(START, n) });
  before.put({ ...log("web-90", "again", "stable@b2"), receivedAt: addSecs(START, 700) });
  expect(readdirSync(dir)).toHaveLength(511);
  const after = new UnitLogs(shelf());
  expect(after.newest(hostName("web-90"), undefined)?.text).toBe("again");
  expect(after.newest(hostName("web-90"), rollout("stable@a1"))?.text).toBe("90 ü");
  expect(after.newest(hostName("web-89"), undefined)?.text).toBe("89 ü");
  after.put({ ...log("web-7", "new"), receivedAt: addSecs(START, 800) });
  expect(after.newest(hostName("web-89"), undefined)).toBeNull();
  expect(after.newest(hostName("web-599"), undefined)?.text).toBe("599 ü");
});

it("says once that the disk can't be written, and goes on in memory; what can't be read is removed", () => {
  rmSync(dir, { recursive: true, force: true });
  writeFileSync(dir, "no folder");
  said.length = 0;
  const logs = new UnitLogs(shelf());
  for (const name of ["web-1", "web-2"]) logs.put(log(name, "kept in memory"));
  expect(said).toEqual([expect.stringContaining("it is in memory only")]);
  expect(logs.newest(hostName("web-2"), undefined)?.text).toBe("kept in memory");
  rmSync(dir);
  new UnitLogs(shelf()).put(log("web-1", "whole"));
  writeFileSync(join(dir, "half.json"), '[{"host":');
  expect(new UnitLogs(shelf()).newest(hostName("web-1"), undefined)?.text).toBe("whole");
  expect(readdirSync(dir)).toHaveLength(1);
});
