import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Release } from "@nixwave/effects";
import { openRepository, releaseOf } from "@nixwave/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EXAMPLE_FLEET } from "../exampleFleet.ts";
import { AWAY, cannedCp, type Ran, runCli, TEST_NOW, viewOf, withField } from "../run.fixture.ts";

let folder = "";
let made: readonly string[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-cli-"));
  await runCli(["init"], { cwd: folder });
  made = written();
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const release = (args: readonly string[] = [], now = TEST_NOW): Promise<Ran> =>
  runCli(["release", ...args], { cwd: folder, now });

const written = (): readonly string[] => {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return files.filter((one) => one.isFile()).map(({ name }) => name);
};

async function currentRelease(): Promise<Release> {
  const directory = join(folder, "releases");
  const repository = await openRepository(directory);
  if (!repository.ok) throw new Error(repository.error.reason);
  const [[channel, file] = []] = repository.value.live.channels;
  const found =
    channel === undefined || file === undefined ? null : await releaseOf(directory, channel, file);
  if (found === null) throw new Error("nothing is released");
  return found;
}

test("a release is read back as it was declared", async () => {
  const closure = `${"5kxq1".padEnd(32, "0")}-web-1-os-9`;
  const ran = await release(["--note", "kernel", "--closure", `web-1=/nix/store/${closure}`]);
  expect(ran.code).toBe(0);
  const now = await currentRelease();
  expect(now).toMatchObject({ note: "kernel", createdBy: "ops-2", revision: null });
  expect(now.hosts.map(({ host, wave }) => `${host} ${wave}`)).toEqual([
    "canary-1 1",
    "db-1 2",
    "web-1 2",
    "web-2 2",
    "web-3 2",
    "web-4 2",
    "cache-1 3",
    "mail-1 3",
  ]);
  expect(now.hosts.find(({ host }) => host === "web-1")?.closure).toBe(closure);
  expect(now.budgets).toEqual([
    { name: "web", hosts: ["web-1", "web-2", "web-3", "web-4"], maxInFlight: 2 },
  ]);
  expect(written().filter((name) => name.endsWith(".new"))).toEqual([]);
});

test("it says what changes, and a dry run writes nothing", async () => {
  const first = await release(["--dry-run"]);
  expect(written()).toEqual(made);
  expect(first.data).toMatch(/ {2}new: canary-1, db-1/);
  expect(first.talk).toMatch(/would queue a dispatch: canary-1 may move to 00000…-canary-1-os-1/);
  await release();
  const before = written();
  writeFileSync(
    join(folder, "fleet.yaml"),
    EXAMPLE_FLEET.replace("db-1-os-1", "db-1-os-2").replace("maxInFlight: 2", "maxInFlight: 1"),
  );
  // Two releases of the same instant: the clock has gone back, or stood still.
  const older = await release(["--dry-run"]);
  expect(older.code).toBe(1);
  expect(older.talk).toMatch(/no later than the newest one/);
  expect(written()).toEqual(before);
});

const BROKEN: readonly [name: string, change: (text: string) => string, said: RegExp][] = [
  [
    "an unknown key",
    (text) => text.replace("soakSecs: 300", "soakSec: 300"),
    /^fleet\.yaml:\d+: .*soakSec.*Did you mean soakSecs\?$/m,
  ],
  [
    "an unknown host in an edge",
    (text) => text.replace("gates: db-1", "gates: db-2"),
    /^fleet\.yaml:\d+: .*db-2.*Did you mean db-1\?$/m,
  ],
  [
    "a host in no wave",
    (text) => text.replace(/not: \{.*\}\] \}/, "tags: [nobody]"),
    /^fleet\.yaml:\d+: .*wave/m,
  ],
  [
    "a cycle",
    (text) => `${text}  - { gates: web-1, gated: db-1, reason: round }\n`,
    /^fleet\.yaml:\d+: .*cycle/m,
  ],
  ["what is no YAML", (text) => `${text}\n\t- {`, /^fleet\.yaml:\d+: not YAML/m],
  [
    "a closure that is none",
    (text) => text.replace(/closure: 0\S+web-1-os-1/, "closure: web-1"),
    /^fleet\.yaml:\d+: .*closure/m,
  ],
  ["an empty file", () => "", /^fleet\.yaml/m],
];

test.each(BROKEN)(
  "%s is refused with its line, and nothing is written",
  async (_, change, said) => {
    const text = change(EXAMPLE_FLEET);
    expect(text).not.toBe(EXAMPLE_FLEET);
    writeFileSync(join(folder, "fleet.yaml"), text);
    const ran = await release();
    expect(ran.code).toBe(1);
    expect(ran.talk).toMatch(said);
    expect(ran.talk).toMatch(/^nixwave: nothing was released\.\n/);
    expect(ran.data).toBe("");
    expect(written()).toEqual(made);
  },
);

const BAD_ARGUMENTS: readonly [args: readonly string[], said: RegExp][] = [
  [
    ["--channel", "stabel"],
    /--channel stabel is not declared in fleet\.yaml: expected one of stable\. Did you mean stable\?/,
  ],
  [["--channel", "Stable!"], /is no channel/],
  [["--closure", "web-1"], /expected HOST=CLOSURE/],
  [["--closure", "web-1=result"], /expected a store path's base name.*not “result”/],
  [
    ["--closure", `web-9=${"0".repeat(32)}-x`],
    /names host web-9, which is not in the fleet\. Did you mean web-1\?/,
  ],
  [["--wait", "--timeout", "soon"], /--timeout “soon”: expected a duration/],
];

test.each(BAD_ARGUMENTS)("%j is refused, and nothing is written", async (args, said) => {
  const ran = await release(args);
  expect(ran.code).toBe(1);
  expect(ran.talk).toMatch(said);
  expect(written()).toEqual(made);
});

test("a folder that can't be written to is named, and what was current stays current", async () => {
  writeFileSync(join(folder, "releases/targets/stable"), "a file where the folder should be");
  const ran = await release();
  expect(ran.code).toBe(1);
  expect(ran.talk).toMatch(/^nixwave: .*releases: could not be written: [^\n]*\n$/);
  expect(written().toSorted()).toEqual([...made, "stable"].toSorted());
});

test("a person who is asked may say no", async () => {
  const args = ["release"];
  const no = await runCli(args, { cwd: folder, answer: "n" });
  expect(no).toMatchObject({ code: 1 });
  expect(no.talk).toBe("Release 1 channel? [y/N] nixwave: Nothing was released.\n");
  expect(written()).toEqual(made);
  const yes = await runCli(args, { cwd: folder, answer: "y" });
  expect(yes.code).toBe(0);
});

test("a half-made folder of an interrupted release does not stand in the way of the next", async () => {
  mkdirSync(join(folder, "releases/targets/stable"), { recursive: true });
  writeFileSync(join(folder, "releases/targets/stable/current.json.123.new"), "{");
  expect((await release()).code).toBe(0);
  expect((await currentRelease()).hosts.length).toBe(8);
});

test("release --wait outlives a control plane that is away for a moment, and says so once", async () => {
  const moving: unknown = Reflect.get(Object(viewOf("rollout")), "view");
  const completed = withField(moving, ["rollout", "state"], "Completed");
  let answer: unknown = moving;
  const cp = await cannedCp(() => {
    const asked = cp.asked.at(-1);
    return { [`${asked?.method} ${asked?.path}`]: answer };
  });
  const args = ["--wait", "--cp", cp.url];
  const ran = await runCli(["release", ...args], {
    cwd: folder,
    onWait: (waits) => {
      answer = waits < 4 ? AWAY : completed;
    },
  });
  await cp.close();
  expect(ran.code).toBe(0);
  expect(ran.talk.match(/Trying again\.\n/g)).toHaveLength(1);
});
