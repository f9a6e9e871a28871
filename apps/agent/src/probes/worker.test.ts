import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ClosureHash, FIRST_ATTEMPT, nextAttempt } from "@nixwave/effects";
import { rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fastTimer, SOON, type TestHost, testHost } from "../activation/host.fixture.ts";
import { type TestLoop, testLoop } from "../activation/loop.fixture.ts";
import { activationWorker } from "../activation/worker.ts";
import { type ClosableHttp, systemHttp } from "../perform/http.ts";
import type { ActivationWorker, ProbeWorker } from "../perform/worker.ts";
import { probeWorker } from "./worker.ts";

const ROLLOUT = rollout("stable@a1");
let host: TestHost;
let loop: TestLoop;
let http: ClosableHttp;
let activation: ActivationWorker;
let probes: ProbeWorker;
let target: ClosureHash;
let troubles: string[];

vi.setConfig({ testTimeout: 30_000 });
beforeEach(() => {
  host = testHost();
  loop = testLoop();
  http = systemHttp();
  troubles = [];
  const old = host.makeClosure("old");
  host.setLinks(old, "current-system", "profile", "boot");
  target = host.makeClosure("new");
  activation = activationWorker({
    activation: host.activation,
    mailbox: { submit: (input) => loop.submit(input) },
    readRecord: (id) => loop.readRecord(id),
    knownGood: () => old,
    baseline: async () => ({ failedUnits: [], answered: [] }),
    timer: fastTimer,
    random: host.ports.random,
    crash: { at: () => {} },
    redact: (text) => text,
    onRefused: () => {},
    onTrouble: () => {},
  });
  loop.activation = activation;
  start();
});
afterEach(async () => {
  await Promise.all([probes.close(), activation.close()]);
  await http.close();
  host.remove();
});

function start(): void {
  probes = probeWorker({
    activation: host.activation,
    http,
    process: host.ports.process,
    timer: fastTimer,
    random: host.ports.random,
    readText: (path) => host.ports.disk.readText(path),
    env: { PATH: host.config.path, NIXWAVE_ROOT: host.root },
    reach: [],
    baseline: () => null,
    mailbox: { submit: (input) => loop.submit(input) },
    readRecord: (id) => loop.readRecord(id),
    onTrouble: (message, cause) => void troubles.push(`${message}: ${String(cause)}`),
  });
  loop.probes = probes;
}

const SICK = { name: "sick", kind: "exec", argv: ["sh", "-c", 'test -e "$NIXWAVE_ROOT/well"'] };
function declare(checks: readonly object[]): void {
  const folder = join(host.activation.closurePath(target), "etc/nixwave/agent");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "health-checks.json"), JSON.stringify({ schemaVersion: 1, checks }));
}
const declarations = () => loop.events.filter(({ kind }) => kind === "ProbeTopologyDeclared");
const reportsOf = (probeName: string) =>
  loop.inputs.filter((input) => input.kind === "ProbeReported" && input.probeName === probeName);
const until = (check: () => void) => vi.waitFor(check, SOON);

test("after the switch the probes are declared, then run; those that are disabled are not run", async () => {
  declare([SICK, { ...SICK, name: "off", mode: "disabled" }]);
  loop.acknowledge(target, host.makeClosure("old"));
  await until(() => expect(reportsOf("sick")).not.toEqual([]));
  await until(() => expect(reportsOf("system-stable")).not.toEqual([]));
  expect(declarations()).toMatchObject([
    { probes: [{ probeName: "system-stable" }, { probeName: "sick" }, { probeName: "off" }] },
  ]);
  expect(reportsOf("off")).toEqual([]);
  expect(loop.record).toMatchObject({
    kind: "Soaking",
    probes: { sick: { status: "fail" }, "system-stable": { status: "pass" } },
  });
  host.writeFile("well", "");
  await until(() => expect(loop.record).toMatchObject({ probes: { sick: { status: "pass" } } }));
});

test("reset again is nothing while the runners run for this rollout, attempt and boot (hazard 4)", async () => {
  declare([SICK]);
  loop.acknowledge(target, host.makeClosure("old"));
  await until(() => expect(reportsOf("sick")).not.toEqual([]));
  for (let times = 0; times < 5; times += 1) probes.reset(ROLLOUT);
  const before = reportsOf("sick").length;
  await until(() => expect(reportsOf("sick").length).toBeGreaterThan(before));
  expect(declarations()).toHaveLength(1);
});

test("a restart, another attempt and a new boot each begin without evidence", async () => {
  declare([SICK]);
  loop.acknowledge(target, host.makeClosure("old"));
  await until(() => expect(reportsOf("sick")).not.toEqual([]));

  await probes.close();
  start();
  probes.reset(ROLLOUT);
  await until(() => expect(declarations()).toHaveLength(2));

  loop.put({ ...loop.record, attempt: nextAttempt(FIRST_ATTEMPT) });
  probes.reset(ROLLOUT);
  await until(() => expect(declarations()).toHaveLength(3));

  host.writeFile("boot-id", "second");
  await until(() => {
    probes.reset(ROLLOUT);
    expect(declarations()).toHaveLength(4);
  });
  expect(declarations().at(-1)).toMatchObject({ bootId: "second" });
});

test("the runners stop when the record leaves Soaking, and report nothing more", async () => {
  declare([
    { ...SICK, argv: ["sh", "-c", ': > "$NIXWAVE_ROOT/probing"; sleep 1008'], timeoutSecs: 60 },
  ]);
  loop.acknowledge(target, host.makeClosure("old"));
  await until(() => expect(host.exists("probing")).toBe(true));
  const { inputs } = loop;
  probes.stop();
  await until(() => expect(host.processes()).toEqual([]));
  expect(
    inputs.filter((input) => input.kind === "ProbeReported" && input.probeName === "sick"),
  ).toEqual([]);
});

test("reset of a record that does not soak is nothing", () => {
  loop.acknowledge(target, null);
  activation.cancel();
  loop.put({ ...loop.record, supersededBy: rollout("stable@b2") });
  probes.reset(ROLLOUT);
  probes.reset(rollout("stable@b2"));
  expect(declarations()).toEqual([]);
  expect(troubles).toEqual([]);
});

test("a closure without a probe file shows no health (hazard 45)", async () => {
  loop.acknowledge(target, host.makeClosure("old"));
  await until(() =>
    expect(loop.record).toMatchObject({
      probes: { "probe-topology": { status: "fail", mode: "enforce" } },
    }),
  );
});

test("a declaration that can't be made yet is made later", async () => {
  declare([]);
  host.writeFile("boot-id", "not a boot id");
  loop.put(loopSoaking());
  probes.reset(ROLLOUT);
  await until(() => expect(troubles.join()).toContain("can't be declared yet"));
  host.writeFile("boot-id", "first");
  await until(() => expect(declarations()).toHaveLength(1));
});

function loopSoaking() {
  loop.acknowledge(target, host.makeClosure("old"));
  activation.cancel();
  const { record } = loop;
  if (record.kind !== "Activating") throw new Error("expected Activating");
  const { ackedAt, startedAt: _, starts: __, ...rest } = record;
  return {
    ...rest,
    kind: "Soaking",
    activationCompletedAt: ackedAt,
    currentClosure: target,
    topology: null,
    probes: {},
  } as const;
}
