import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";
import { check, isClean, sayChecked } from "./check.ts";
import { LogBroken, rebuild } from "./rebuild.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  await sent(bench, agent, agent.goodRun(await offered(bench, agent), bench.time.now));
});
afterEach(async () => {
  await bench.close();
});

const segments = () =>
  bench.db
    .prepare("SELECT first_offset FROM log_segments ORDER BY first_offset")
    .pluck()
    .all()
    .map(Number);

test("a changed byte in the log is found at its segment, and nothing is rebuilt from it", () => {
  const at = segments().at(-1);
  bench.db
    .prepare(
      "UPDATE log_segments SET lines = replace(lines, 'Converged', 'Convergeb') WHERE first_offset = ?",
    )
    .run(at);
  const checked = check(bench.db);
  expect(checked.chain).toEqual([
    { firstOffset: at, what: "its lines are not those that were hashed" },
  ]);
  expect(() => rebuild(bench.db)).toThrow(LogBroken);
});

test("a segment that is missing is found by what follows it", () => {
  const [, second, third] = segments();
  bench.db.prepare("DELETE FROM log_segments WHERE first_offset = ?").run(second);
  expect(check(bench.db).chain.map(({ firstOffset }) => firstOffset)).toEqual([third, third]);
});

test("a segment hashed anew does not fit into the chain", () => {
  const [, second, third] = segments();
  bench.db
    .prepare("UPDATE log_segments SET hash = ? WHERE first_offset = ?")
    .run("0".repeat(64), second);
  const found = check(bench.db).chain;
  expect(found.map(({ firstOffset }) => firstOffset)).toEqual([second, third]);
});

test("a row that the log does not say is named with its table and key; a rebuild mends it", () => {
  bench.db
    .prepare("UPDATE host_rollouts SET body = replace(body, '\"attempt\":1', '\"attempt\":7')")
    .run();
  bench.db.prepare("INSERT INTO quarantines VALUES ('stable', 'nobody', 1, 1)").run();
  const checked = check(bench.db);
  expect(checked.differences.map(({ table, key }) => `${table} ${key.split("@")[0]}`)).toEqual([
    "host_rollouts stable",
    "quarantines stable nobody",
  ]);
  expect(sayChecked(checked).join("\n")).toMatch(/"attempt\\":7.*the log says.*"attempt\\":1/);
  rebuild(bench.db);
  expect(isClean(check(bench.db))).toBe(true);
});

test("a state that the code does not know can't be stored (hazard 75)", () => {
  const set = (table: string) => () =>
    bench.db.prepare(`UPDATE ${table} SET state = 'Queued'`).run();
  for (const table of ["host_rollouts", "rollouts", "dispatches"])
    expect(set(table)).toThrow(/CHECK constraint failed/);
});
