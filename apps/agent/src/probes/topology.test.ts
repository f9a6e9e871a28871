import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type ClosureHash, FIRST_ATTEMPT, nextAttempt } from "@nixwave/effects";
import { bootId, journal, rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fastTimer, type TestHost, testHost } from "../activation/host.fixture.ts";
import type { Baseline } from "../journal/facts.ts";
import { type ClosableHttp, systemHttp } from "../perform/http.ts";
import type { ReachTarget } from "./baseline.ts";
import { readTopology } from "./topology.ts";

const never = new AbortController().signal;
let host: TestHost;
let http: ClosableHttp;
let target: ClosureHash;
let path: string;
let reach: readonly ReachTarget[];
let baseline: Baseline | null;
const OF = { rolloutId: rollout("stable@a1"), journalId: journal("1"), attempt: FIRST_ATTEMPT };
beforeEach(() => {
  host = testHost();
  http = systemHttp();
  target = host.makeClosure("new");
  path = host.config.path;
  reach = [];
  baseline = null;
});
afterEach(async () => {
  await http.close();
  host.remove();
});

const read = () =>
  readTopology(
    {
      activation: host.activation,
      http,
      process: host.ports.process,
      timer: fastTimer,
      readText: (path) => host.ports.disk.readText(path),
      env: { PATH: path },
      reach,
      baseline: () => baseline,
    },
    { of: OF, target, bootId: bootId("first") },
  );
const folder = () => join(host.activation.closurePath(target), "etc/nixwave/agent");
function declare(content: unknown): void {
  mkdirSync(folder(), { recursive: true });
  const text = typeof content === "string" ? content : JSON.stringify(content);
  writeFileSync(join(folder(), "health-checks.json"), text);
}
const names = () => read().map(({ declared }) => declared.probeName);

test("system-stable is declared beside whatever the closure declares", () => {
  declare({
    schemaVersion: 1,
    checks: [
      { name: "web", kind: "http", url: "http://127.0.0.1:1/", intervalSecs: 3 },
      { name: "db", kind: "tcp", host: "127.0.0.1", port: 5432, mode: "observe" },
      { name: "off", kind: "exec", argv: ["true"], mode: "disabled" },
    ],
  });
  expect(read().map(({ declared }) => declared)).toEqual([
    { probeName: "system-stable", kind: "system-stable", mode: "enforce", intervalSecs: 10 },
    { probeName: "web", kind: "http", mode: "enforce", intervalSecs: 3 },
    { probeName: "db", kind: "tcp", mode: "observe", intervalSecs: 10 },
    { probeName: "off", kind: "exec", mode: "disabled", intervalSecs: 10 },
  ]);
});

test("a closure may say that it has no checks", () => {
  declare({ schemaVersion: 1, checks: [] });
  expect(names()).toEqual(["system-stable"]);
});

test.each([
  ["no JSON", "{", /not JSON/],
  ["another version", { schemaVersion: 2, checks: [] }, /schemaVersion/],
  ["an unknown kind", { schemaVersion: 1, checks: [{ name: "x", kind: "icmp" }] }, /kind/],
  [
    "an unknown key",
    { schemaVersion: 1, checks: [{ name: "x", kind: "tcp", host: "h", port: 1, prot: 2 }] },
    /prot/,
  ],
  [
    "a name of the agent's own",
    { schemaVersion: 1, checks: [{ name: "system-stable", kind: "exec", argv: ["true"] }] },
    /name/,
  ],
])("%s is a failing enforce probe, never health (hazard 45)", async (_, content, reason) => {
  declare(content);
  await expectFailingTopology(reason);
});

test("a missing file is one too (hazard 45)", async () => {
  await expectFailingTopology(/health-checks.json is missing/);
});

test("and one that can't be read", async () => {
  mkdirSync(join(folder(), "health-checks.json"), { recursive: true });
  await expectFailingTopology(/can't be read/);
});

async function expectFailingTopology(reason: RegExp): Promise<void> {
  const [stable, broken, ...rest] = read();
  expect(rest).toEqual([]);
  expect(stable?.declared.probeName).toBe("system-stable");
  expect(broken?.declared).toMatchObject({ probeName: "probe-topology", mode: "enforce" });
  const outcome = await broken?.run(never);
  expect(outcome).toMatchObject({ status: "fail" });
  expect(outcome?.failureReason).toMatch(reason);
}

/** A systemctl of the test's own, first in the PATH. */
function systemctl(script: string): void {
  const bin = join(host.root, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "systemctl"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  path = `${bin}:${host.config.path}`;
}
const runOf = (name: string) =>
  read()
    .find(({ declared }) => declared.probeName === name)
    ?.run(never);
const baselineOf = (found: Partial<Baseline>): Baseline => ({
  ...OF,
  failedUnits: [],
  answered: [],
  reached: false,
  ...found,
});

test("units that are named have to be active", async () => {
  declare({
    schemaVersion: 1,
    checks: [{ name: "units", kind: "systemd", units: ["a", "b", "c"] }],
  });
  const show = (b: string) =>
    systemctl(
      `printf 'Id=a\\nActiveState=active\\n\\nId=b\\nActiveState=${b}\\n\\nId=c\\nActiveState=reloading\\n'`,
    );
  show("active");
  expect(await runOf("units")).toMatchObject({ status: "pass" });
  show("failed");
  expect(await runOf("units")).toMatchObject({ status: "fail", failureReason: "b is failed" });
  systemctl("echo no bus >&2; exit 1");
  expect(await runOf("units")).toMatchObject({ failureReason: "systemd can't be asked: no bus" });
});

test("what had failed before the switch is no failure of the release; what fails since is", async () => {
  declare({ schemaVersion: 1, checks: [{ name: "all", kind: "systemd" }] });
  const own = `nixwave-switch-stable.${"a".repeat(40)}-${"b".repeat(32)}-1-1.service`;
  systemctl(`printf 'old.service loaded failed failed Old\\n${own} loaded failed failed ours\\n'`);
  baseline = baselineOf({ failedUnits: ["old.service"] });
  expect(await runOf("all")).toMatchObject({ status: "pass" });
  baseline = baselineOf({ failedUnits: ["other.service"] });
  expect(await runOf("all")).toMatchObject({
    failureReason: "failed since the switch: old.service",
  });
  // Of another attempt, or systemd could not be asked then: nothing is excused.
  baseline = {
    ...baselineOf({ failedUnits: ["old.service"] }),
    attempt: nextAttempt(FIRST_ATTEMPT),
  };
  expect(await runOf("all")).toMatchObject({ status: "fail" });
  baseline = baselineOf({ failedUnits: null });
  expect(await runOf("all")).toMatchObject({ status: "fail" });
});

test("reachability is enforced where somebody answered before, and passes when anybody is reached", async () => {
  declare({ schemaVersion: 1, checks: [] });
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const modeOf = () =>
    read().find(({ declared }) => declared.probeName === "reachability")?.declared.mode;
  expect(modeOf(), "nobody to reach").toBe(undefined);
  // Nobody listens on port 1.
  reach = [
    { host: "127.0.0.1", port: 1 },
    { host: "127.0.0.1", port },
  ];
  expect(modeOf()).toBe("observe");
  baseline = baselineOf({ answered: [`127.0.0.1:${port}`] });
  expect(modeOf()).toBe("enforce");
  expect(await runOf("reachability")).toMatchObject({ status: "pass" });
  server.close();
  await once(server, "close");
  expect(await runOf("reachability")).toMatchObject({
    status: "fail",
    failureReason: `since the activation none of 127.0.0.1:1, 127.0.0.1:${port} was reached`,
  });
  baseline = baselineOf({ answered: ["dispatch"], reached: true });
  expect(await runOf("reachability"), "once passed, it stays passed").toMatchObject({
    status: "pass",
  });
});
