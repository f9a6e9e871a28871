import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClosureHash } from "@nixwave/effects";
import { bootId, closureName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fastTimer, type TestHost, testHost } from "../activation/host.fixture.ts";
import { type ClosableHttp, systemHttp } from "../perform/http.ts";
import { readTopology } from "./topology.ts";

const never = new AbortController().signal;
let host: TestHost;
let http: ClosableHttp;
let target: ClosureHash;
beforeEach(() => {
  host = testHost();
  http = systemHttp();
  target = host.makeClosure("new");
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
      env: { PATH: host.config.path },
    },
    { target, bootId: bootId("first") },
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

test("a systemd probe fails with what to do, and is never silently healthy", async () => {
  declare({
    schemaVersion: 1,
    checks: [{ name: "units", kind: "systemd", units: ["nginx.service"] }],
  });
  const units = read().find(({ declared }) => declared.probeName === "units");
  expect(await units?.run(never)).toMatchObject({
    status: "fail",
    failureReason: expect.stringContaining("declare an exec probe"),
  });
  expect(closureName(target)).toBe("new");
});
