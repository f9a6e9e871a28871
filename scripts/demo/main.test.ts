import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { folderIn, processesOf, runDemo } from "./demoRun.fixture.ts";

test("Ctrl-C in the middle of a switch leaves no process and no file behind", async () => {
  const { code, output, seen } = await runDemo([], /canary-1 +░ activating/);
  expect(code, output).toBe(130);
  const folder = folderIn(output);
  expect(folder).not.toBe("");
  // One control plane and eight agents at least were there to be left behind.
  expect(seen.length).toBeGreaterThanOrEqual(9);
  expect(processesOf(folder)).toEqual([]);
  expect(existsSync(folder)).toBe(false);
}, 120_000);

test("--nix without Nix is one line that says what to do, and nothing is begun", () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, "main.ts"), "--nix"],
    { env: { PATH: "/nowhere" }, encoding: "utf8" },
  );
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^demo: --nix .* Install Nix .*pnpm demo needs none\.\n$/);
});
