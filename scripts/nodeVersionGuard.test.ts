import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { expect, test } from "vitest";
import { isNodeTooOld } from "./nodeVersionGuard.mjs";
import { ROOT } from "./source.ts";

const OLD = "20.20.2";

const ENTRIES = [
  "apps/agent/bin/nixwave-agent.mjs",
  "apps/cp/bin/nixwave-cp.mjs",
  "apps/cli/bin/nixwave.mjs",
  "scripts/nodeVersionGuard.mjs",
];

/** Where the machine's old Node is, if it has one: pnpm puts a newer one in front of it. */
const oldNode = (process.env["PATH"] ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "node"))
  .find((node) => existsSync(node) && isNodeTooOld(versionOf(node)));

test.each([
  ["20.20.2", true],
  ["22.21.9", true],
  ["22.22.0", false],
  ["24.0.0", false],
  ["26.1.0", false],
])("Node %s is too old: %s", (version, tooOld) => {
  expect(isNodeTooOld(version)).toBe(tooOld);
});

test.each(ENTRIES)("%s refuses a pretended old Node with one sentence", (entry) => {
  const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${OLD}" } });`;
  const preload = `data:text/javascript,${encodeURIComponent(pretend)}`;
  expectRefusal(process.execPath, ["--import", preload, join(ROOT, entry)]);
});

test.skipIf(oldNode === undefined).each(ENTRIES)("%s refuses a real old Node", (entry) => {
  expectRefusal(oldNode ?? "", [join(ROOT, entry)]);
});

function expectRefusal(node: string, args: readonly string[]): void {
  const { status, stderr, stdout } = spawnSync(node, args, { encoding: "utf8" });
  expect(stderr).toMatch(/^nixwave[\w-]* needs Node 22\.22 or newer, and this is Node [\d.]+\.\n$/);
  expect(stdout).toBe("");
  expect(status).toBe(1);
}

function versionOf(node: string): string {
  return spawnSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }).stdout.trim();
}
