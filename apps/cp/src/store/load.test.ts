import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
  const [one, two] = [new TestAgent("web-1"), new TestAgent("web-2")];
  const release = await releaseOf({ waves: [["web-1", "web-2"]], version: "bad" });
  await opened(bench, [one, two], release);
  const scope = { kind: "hosts", hosts: [two.host] } as const;
  const freeze = { kind: "Freeze", by: "ops", reason: "a test", scope, until: null } as const;
  await bench.ask<"Freeze">(freeze);
  const offer = await offered(bench, one);
  await sent(bench, one, one.badRun(offer, bench.time.now));
  const { rolloutId } = offer;
  await bench.ask<"Clear">({ kind: "Clear", by: "ops", reason: "a test", rolloutId });
  await bench.pass(31);
});
afterEach(() => bench.close());

/** What an older or newer release, or a bad disk, could have left: the columns that have a CHECK are not the only ones. */
const SPOILT: readonly (readonly [table: string, change: string])[] = [
  ["rollouts", `body = replace(body, '"kind":"', '"kind":"Un')`],
  ["host_rollouts", `body = replace(body, '"kind":"', '"kind":"Un')`],
  ["host_rollouts", "body = '{'"],
  ["rollout_hosts", "body = '{}'"],
  ["dispatches", `body = replace(body, '"state":"', '"state":"un')`],
  ["quarantines", "closure = 'none'"],
  ["freezes", `body = replace(body, '"kind":"hosts"', '"kind":"some"')`],
  ["streams", "last_hash = ''"],
  ["channels", "current = 'stable'"],
  ["hosts", `report = replace(report, '"bootId"', '"bootID"')`],
  ["host_journals", "journal_id = 'x'"],
];

test.each(SPOILT)(
  "a row of %s with %s stops the start; nothing stands in for it (hazards 74 and 75)",
  async (table, change) => {
    expect(bench.db.prepare(`UPDATE ${table} SET ${change}`).run().changes).toBeGreaterThan(0);
    await expect(bench.reopen()).rejects.toThrow(new RegExp(`table ${table} .* nixwave-cp`));
  },
);

test("what was not spoilt is loaded", async () => {
  await bench.reopen();
  expect(bench.writer.fleet().quarantines()).toHaveLength(1);
  expect(bench.writer.fleet().freezes()).toHaveLength(1);
});
