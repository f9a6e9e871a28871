import type { HostName } from "@nixwave/effects";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { opened } from "../scenes.fixture.ts";

let bench: Bench;
const one = new TestAgent("web-1");
const two = new TestAgent("web-2");
beforeEach(async () => {
  bench = await openBench();
  const release = await releaseOf({ waves: [["web-1", "web-2"]], version: "new" });
  await opened(bench, [one, two], release);
});
afterEach(() => bench.close());

const revoke = (...revoked: readonly HostName[]) =>
  bench.ask<"HostRevocation">({ kind: "HostRevocation", revoked });

/** The hosts that have a dispatch to take. */
async function dispatched(): Promise<readonly HostName[]> {
  for (const agent of [one, two]) await bench.ask<"Heartbeat">(agent.heartbeat());
  return [one, two]
    .map(({ host }) => host)
    .filter((host) => bench.writer.fleet().openDispatch(host));
}

// Where the set comes from, and who signs it, is issue 4's; this is what the control plane does with it.
test("a set of revoked hosts replaces the one before, also after a restart (hazards 16 and 90)", async () => {
  expect(await dispatched()).toEqual(["web-1", "web-2"]);
  await revoke(one.host);
  expect(await dispatched()).toEqual(["web-2"]);
  await bench.reopen();
  expect(await dispatched()).toEqual(["web-2"]);
  await revoke(two.host);
  expect(await dispatched()).toEqual(["web-1"]);
  await bench.reopen();
  expect(await dispatched()).toEqual(["web-1"]);
  await revoke();
  expect(await dispatched()).toEqual(["web-1", "web-2"]);
});
