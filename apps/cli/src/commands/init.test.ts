import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { audit, fetchFromDirectory } from "@nixwave/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EXAMPLE_FLEET } from "../exampleFleet.ts";
import { runCli, TEST_NOW } from "../run.fixture.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-cli-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});
const at = (path: string): string => join(folder, path);

test("init makes a fleet, its repository, a key of mode 0600 and the root for hosts; a release of it verifies", async () => {
  const made = await runCli(["init", "demo"], { cwd: folder });
  expect(made.code).toBe(0);
  expect(made.data.split("\n")).toEqual([
    "demo/fleet.yaml",
    "demo/keys/ops-2.key",
    "demo/releases",
    "demo/root.json",
    "demo/nixwave.json",
    "",
  ]);
  expect(statSync(at("demo/keys/ops-2.key")).mode & 0o777).toBe(0o600);
  expect(readFileSync(at("demo/fleet.yaml"), "utf8")).toBe(EXAMPLE_FLEET);
  const released = await runCli(["release"], { cwd: at("demo") });
  expect(released).toMatchObject({
    code: 0,
    talk: expect.stringMatching(/^Released stable@[0-9a-f]{7} to releases\.\n$/),
  });
  const root = readFileSync(at("demo/root.json"));
  const audited = await audit(fetchFromDirectory(at("demo/releases")), root, TEST_NOW);
  if (!audited.ok) throw new Error(audited.error.reason);
  expect(audited.value.problems).toEqual([]);
  expect(audited.value.channels).toMatchObject([
    { channel: "stable", release: { hosts: 8, createdBy: "ops-2" } },
  ]);
});

test("init keeps a fleet that is there, and makes no repository anew", async () => {
  const fleet = EXAMPLE_FLEET.replaceAll("stable", "edge");
  writeFileSync(at("fleet.yaml"), fleet);
  expect((await runCli(["init"], { cwd: folder })).code).toBe(0);
  expect(readFileSync(at("fleet.yaml"), "utf8")).toBe(fleet);
  const root = readFileSync(at("root.json"));
  const again = await runCli(["init"], { cwd: folder });
  expect(again).toMatchObject({
    code: 1,
    talk: expect.stringContaining("releases holds a repository already, and was left as it is"),
  });
  expect(readFileSync(at("root.json"))).toEqual(root);
  expect((await runCli(["release"], { cwd: folder })).talk).toMatch(/^Released edge@/);
});

test("killed between any two of its files, init is run again and goes on with the same key", async () => {
  expect((await runCli(["init"], { cwd: folder })).code).toBe(0);
  const key = readFileSync(at("keys/ops-2.key"), "utf8");
  // From the last file that it writes to the first: each state is one that a kill leaves.
  const metadata = ["timestamp", "1.root", "1.snapshot", "1.targets", "1.stable"];
  const lost = [
    "nixwave.json",
    "root.json",
    ...metadata.map((name) => `releases/metadata/${name}.json`),
  ];
  for (const [count] of lost.entries()) {
    for (const file of lost.slice(0, count + 1)) rmSync(at(file), { force: true });
    const again = await runCli(["init"], { cwd: folder });
    if (count < 2) {
      expect(again).toMatchObject({
        code: 1,
        talk: expect.stringContaining("holds a repository already"),
      });
      continue;
    }
    expect(again.code, `${count}`).toBe(0);
    expect(readFileSync(at("keys/ops-2.key"), "utf8")).toBe(key);
    expect(await runCli(["verify", "--root", "root.json"], { cwd: folder })).toMatchObject({
      code: 0,
    });
  }
  expect(readdirSync(at("keys")).sort()).toEqual([".gitignore", "ops-2.key"]);
});

test("a root.json without its repository is not taken for the new one's", async () => {
  writeFileSync(at("root.json"), "{}");
  const ran = await runCli(["init"], { cwd: folder });
  expect(ran).toMatchObject({
    code: 1,
    talk: expect.stringContaining("root.json is there without its repository"),
  });
  expect(readFileSync(at("root.json"), "utf8")).toBe("{}");
});
