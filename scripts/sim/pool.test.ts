import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const BROKEN = new URL("./broken.fixture.ts", import.meta.url).href;
const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

/** The simulator as people start it, with worlds in it that break: `how seed,seed`. */
function sim(broken: string, ...typed: readonly string[]) {
  const args = ["--import", BROKEN, MAIN, ...typed];
  const env = { ...process.env, NIXWAVE_BROKEN: broken };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8" });
  return { status, stdout, stderr };
}

test.each(["throws", "rejects"])(
  "a world that %s has its seed, is shrunk, and costs no other its result",
  (how) => {
    const { status, stdout, stderr } = sim(`${how} 2`, "--seeds", "4", "--jobs", "1");
    const bug = "VIOLATED no-bug: Error: broken on purpose at ";
    expect(stdout).toContain("seeds 1 to 4: 4 worlds in ");
    expect(stdout).toContain("1 FAILED");
    expect(stderr).toContain("seed 2 violated no-bug: Error: broken on purpose at ");
    // It takes none of its faults.
    expect(stdout).toMatch(/seed 2: \d+ hosts, \d+ releases, 0 faults/);
    expect(stdout).toContain(`seed 2 ${bug}`);
    expect(stdout).toMatch(/broken on purpose at .*scripts\/sim\/run\.ts:\d+/);
    expect(status).toBe(1);
  },
);

test.each([
  ["waits", "did not end within 6 s"],
  ["spins", "did not end within 6 s"],
  ["dies", "its process ended with 3"],
])("a world that %s costs its process, and another goes on with those after it", (how, said) => {
  const limit = ["--world-seconds", "6"];
  const { status, stdout } = sim(`${how} 2`, "--seeds", "4", "--jobs", "1", ...limit);
  expect(stdout).toContain("seeds 1 to 4: 4 worlds in ");
  expect(stdout).toContain(`seed 2 VIOLATED no-bug: ${said}; `);
  expect(status).toBe(1);
});

test("where one world after the other ends its process, it says how many were run", () => {
  const { status, stdout } = sim("dies 1,2,3,4,5,6,7", "--seeds", "8", "--jobs", "1");
  expect(stdout).toContain("5 FAILED");
  expect(stdout).toContain("FAILED: 5 of 8 worlds were run, because too many of them ended");
  expect(status).toBe(1);
});

test("a run that its seconds cut has failed, and says how many worlds it ran", () => {
  const { status, stdout } = sim("throws 0", "--seeds", "100000", "--jobs", "1", "--seconds", "1");
  expect(stdout).toMatch(
    /every invariant held\n\nFAILED: \d+ of 100,000 worlds were run, because 1 s are over\./,
  );
  expect(status).toBe(1);
});

test("a seed that fails is told shrunk; --explain tells how far it comes, as it goes", () => {
  const { status, stdout } = sim("throws 2", "--seed", "2");
  expect(stdout).toMatch(/seed 2: \d+ hosts, \d+ releases, 0 faults/);
  expect(status).toBe(1);
  const explained = sim("dies 2", "--seed", "2", "--explain");
  expect(explained.stdout).toMatch(/^seed 2: .*\n(.*\n)+0:00:/);
  expect(explained.status).toBe(3);
});
