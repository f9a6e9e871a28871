import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { folderIn, processesOf, runDemo } from "../demo/demoRun.fixture.ts";

// `pnpm demo --nix` as a person runs it: mount namespaces and real Nix, and no systemd.

const TIMEOUT_MS = 600_000;

/** What of the demo is in the machine's own /nix: closures, profiles, and roots that point into its folder. */
function tracesOf(folder: string): string {
  if (!existsSync("/nix")) return "";
  const closure = ["-path", "/nix/store/*-app-[0-9]*"];
  const ours = ["-o", "-name", "nixwave-demo*", "-o", "-lname", `${folder}*`];
  return execFileSync("find", ["/nix", "(", ...closure, ...ours, ")"], { encoding: "utf8" });
}
const mounts = (): string => readFileSync("/proc/self/mountinfo", "utf8");

function nothingIsLeft(folder: string): void {
  expect(folder).not.toBe("");
  expect(processesOf(folder)).toEqual([]);
  expect(existsSync(folder)).toBe(false);
  expect(mounts()).not.toContain(folder);
  expect(tracesOf(folder)).toBe("");
}

test(
  "the demo with real Nix: three waves, a bad release that only the canary had, the fix; nothing is left, no root of the machine's",
  async () => {
    const { code, output } = await runDemo(["--nix"], null);
    expect(code, output).toBe(0);
    expect(output).toMatch(/All 8 hosts run app-1 .*[^]*All 8 hosts run app-3 /);
    expect(output).toContain("canary-1 has rolled back by itself to app-1.");
    expect(output).toContain("Only canary-1 ever had the bad one");
    nothingIsLeft(folderIn(output));
  },
  TIMEOUT_MS,
);

test(
  "Ctrl-C in the middle of a switch leaves no process, no mount and no file behind",
  async () => {
    const { code, output, seen } = await runDemo(["--nix"], /canary-1 +░ activating/);
    expect(code, output).toBe(130);
    expect(seen.length).toBeGreaterThanOrEqual(9);
    nothingIsLeft(folderIn(output));
  },
  TIMEOUT_MS,
);
