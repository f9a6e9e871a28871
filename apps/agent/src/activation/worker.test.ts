import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addSecs, type ClosureHash, FIRST_ATTEMPT, type HostState } from "@nixwave/effects";
import { closure, journal, rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CRASH_POINTS, type CrashPoint } from "../crashPoint.ts";
import type { ActivationWorker } from "../perform/worker.ts";
import type { Activation } from "./activation.ts";
import { fastTimer, type Script, type TestHost, testHost } from "./testHost.ts";
import { type TestLoop, testLoop } from "./testLoop.ts";
import type { UnitRef } from "./unit.ts";
import { activationWorker } from "./worker.ts";

const ROLLOUT = rollout("stable@a1");

let host: TestHost;
let loop: TestLoop;
let old: ClosureHash;
let workers: ActivationWorker[];
let troubles: string[];

beforeEach(() => {
  host = testHost();
  loop = testLoop();
  workers = [];
  troubles = [];
  old = host.makeClosure("old", { switch: "echo old >> switches; swap boot; swap current-system" });
  host.setLinks(old, "current-system", "profile", "boot");
  start();
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  host.remove();
});

/** An agent's process begins: a worker that remembers nothing. */
function start(
  crashAt: (point: CrashPoint) => void = () => {},
  activation: Activation = host.activation,
): void {
  const worker = activationWorker({
    activation,
    mailbox: { submit: (input) => loop.submit(input) },
    readRecord: (id) => loop.readRecord(id),
    knownGood: () => old,
    timer: fastTimer,
    random: host.ports.random,
    crash: { at: crashAt },
    redact: (text) => text.replaceAll("hunter2", "[redacted]"),
    onTrouble: (message, cause) => void troubles.push(`${message}: ${String(cause)}`),
  });
  loop.activation = worker;
  workers.push(worker);
}

const OK = "echo new >> switches; swap boot; swap current-system";
const newClosure = (script: Script = {}) => host.makeClosure("new", { switch: OK, ...script });
const reaches = (state: HostState) =>
  vi.waitFor(() => expect(loop.record.kind).toBe(state), { timeout: 5000, interval: 10 });
const tells = (line: string) =>
  vi.waitFor(() => expect(loop.story()).toContain(line), { timeout: 5000, interval: 10 });
const switches = () => readFileSync(join(host.root, "switches"), "utf8").trim().split("\n");
const links = () => [
  host.readLink("current-system"),
  host.readLink("profile"),
  host.readLink("boot"),
];
const unit = (purpose: "switch" | "rollback", tryNo = 1) => {
  const { rolloutId, journalId, attempt } = loop.record;
  return { rolloutId, journalId, attempt, purpose, tryNo };
};

test("a good switch: profile, unit, and only then completed", async () => {
  const target = newClosure();
  loop.acknowledge(target, old);
  await reaches("Soaking");
  expect(loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted switch",
    "ActivationCompleted new exit 0",
  ]);
  expect(links()).toEqual([target, target, target]);
  expect(await host.activation.pinned("target")).toBe(target);
  expect(await host.activation.pinned("rollback")).toBe(old);
  expect(await host.activation.pinned("known-good")).toBe(old);
});

test("asked twice, and while it is at work, it switches once", async () => {
  loop.acknowledge(newClosure(), old);
  for (let times = 0; times < 5; times += 1) {
    loop.activation.fireSwitch(ROLLOUT);
    loop.activation.observe(ROLLOUT);
  }
  await reaches("Soaking");
  loop.activation.fireSwitch(ROLLOUT);
  expect(switches()).toEqual(["new"]);
});

test("what already runs everywhere is not switched again", async () => {
  const target = newClosure();
  host.setLinks(target, "current-system", "profile", "boot");
  loop.acknowledge(target, null);
  await reaches("Soaking");
  expect(loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted none",
    "ActivationCompleted new exit unknown",
  ]);
  expect(host.exists("switches")).toBe(false);
});

test("exit 4 with the target running is for the probes to judge", async () => {
  loop.acknowledge(newClosure({ switch: `${OK}; exit 4` }), old);
  await reaches("Soaking");
  expect(loop.story().at(-1)).toBe("ActivationCompleted new exit 4");
});

test.each([
  [
    "exit 1 before it changed anything",
    "echo refused hunter2 >&2; exit 1",
    "ActivationFailed switch exit 1",
  ],
  ["exit 0 without the target running", "exit 0", "ActivationFailed verify exit 0"],
  [
    "killed after the links flipped",
    "swap boot; swap current-system; kill -9 $$",
    "ActivationFailed switch exit unknown",
  ],
])("%s rolls the host back to exactly what ran", async (_, script, failure) => {
  loop.acknowledge(newClosure({ switch: script }), old);
  await reaches("Reverted");
  expect(loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted switch",
    failure,
    "RollbackStarted",
    "RollbackComplete old",
  ]);
  expect(links()).toEqual([old, old, old]);
  expect(switches()).toEqual(["old"]);
  expect(JSON.stringify(loop.inputs)).not.toContain("hunter2");
});

test("what check refuses has changed nothing, and needs no rollback", async () => {
  loop.acknowledge(newClosure({ check: "echo an inhibitor >&2; exit 3" }), old);
  await reaches("Failed");
  expect(loop.story()).toEqual(["DispatchAck", "ActivationFailed check exit 3 untouched"]);
  expect(loop.record).toMatchObject({ rollback: "none" });
  expect(links()).toEqual([old, old, old]);
});

test("100 stages the next boot, and the new boot completes or fails it (hazard 52)", async () => {
  const target = newClosure({ switch: "echo component: kernel; exit 100" });
  loop.acknowledge(target, old);
  await reaches("Deferred");
  expect(loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted switch",
    "ActivationDeferred kernel",
  ]);
  expect(links()).toEqual([old, target, target]);

  loop.activation.observe(ROLLOUT);
  host.setLinks(target, "current-system");
  host.writeFile("boot-id", "after-the-reboot");
  start();
  loop.activation.observe(ROLLOUT);
  await reaches("Soaking");
});

test("100 whose boot entry does not come up is a failed switch", async () => {
  loop.acknowledge(newClosure({ switch: "exit 100", boot: "exit 0" }), old);
  await reaches("Reverted");
  expect(loop.story()).toContain("ActivationFailed switch exit 0");
});

test("a new switch first makes what runs the boot default again", async () => {
  const staged = host.makeClosure("staged");
  host.setLinks(staged, "boot", "profile");
  loop.acknowledge(newClosure({ switch: "readlink boot > boot-at-switch; exit 1" }), old);
  await reaches("Reverted");
  expect(readFileSync(join(host.root, "boot-at-switch"), "utf8")).toContain(old);
});

test("a hung switch is stopped at its deadline, seen to have ended, and rolled back", async () => {
  loop.acknowledge(
    newClosure({
      switch: `swap current-system; : > entered; trap "" TERM; while :; do sleep 1003; done`,
    }),
    old,
  );
  await vi.waitFor(() => expect(host.exists("entered")).toBe(true));
  loop.tick();
  expect(loop.record.kind).toBe("Activating");
  loop.now = addSecs(loop.now, 900);
  loop.tick();
  loop.tick();
  await reaches("Reverted");
  expect(loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted switch",
    "ActivationFailed timeout exit unknown",
    "RollbackStarted",
    "RollbackComplete old",
  ]);
  expect(links()).toEqual([old, old, old]);
});

test("a rollback stops the switch that still runs, and goes to its target though the profile has moved on (hazard 49)", async () => {
  const other = host.makeClosure("other");
  loop.acknowledge(
    newClosure({ switch: `swap current-system; : > entered; exec sleep 1004` }),
    old,
  );
  await vi.waitFor(() => expect(host.exists("entered")).toBe(true));
  host.setLinks(other, "profile");
  await loop.submit({
    kind: "SwitchBroke",
    of: { rolloutId: ROLLOUT, journalId: journal("1"), attempt: loop.record.attempt },
    phase: "timeout",
    untouched: false,
    exitCode: null,
    stderrTail: "",
  });
  await reaches("Reverted");
  expect(links()).toEqual([old, old, old]);
  expect(await host.activation.unit(unit("switch"))).toEqual({ kind: "killed" });
});

test("a rollback target that is gone is asked for once, said, and tried again when its time comes", async () => {
  const moved = host.makeClosure("old", {}, "cache");
  rmSync(join(host.dir, "closures", old), { recursive: true });
  rmSync(join(host.dir, "cache", moved), { recursive: true });
  loop.acknowledge(newClosure({ switch: "exit 1" }), old);
  // The boot default can't be restored either, but nothing needs it: all three links still name the target.
  await tells("RollbackFailed");
  const failure = loop.events.find((event) => event.kind === "RollbackFailed");
  expect(failure?.stderrTail).toMatch(/^target-gone: /);
  expect(loop.record).toMatchObject({ kind: "Failed", rollback: "failed" });

  host.makeClosure("old", {}, "cache");
  loop.now = addSecs(loop.now, 60);
  loop.tick();
  await reaches("Reverted");
  expect(links()).toEqual([old, old, old]);
});

test("a rollback that fails by itself says so with its last words", async () => {
  old = host.makeClosure("old", { switch: "echo no such service >&2; exit 2" });
  loop.acknowledge(newClosure({ switch: "swap current-system; exit 1" }), old);
  await tells("RollbackFailed");
  expect(loop.events.at(-1)).toMatchObject({ exitCode: 2, stderrTail: "no such service" });
});

test("realising is tried again until the closure comes", async () => {
  const target = closure("late");
  loop.acknowledge(target, old);
  await vi.waitFor(() => expect(troubles.join()).toContain(target));
  host.makeClosure("late", {}, "cache");
  await reaches("Soaking");
  expect(loop.record.targetClosure).toBe(target);
});

test("realising ends at realiseTimeoutSecs, untouched, and says why it never came", async () => {
  loop.acknowledge(closure("never"), old, { realiseTimeoutSecs: 60 });
  await vi.waitFor(() => expect(troubles).not.toEqual([]));
  loop.now = addSecs(loop.now, 60);
  loop.tick();
  await reaches("Failed");
  expect(loop.story()).toEqual(["DispatchAck", "ActivationFailed realise exit unknown untouched"]);
  expect(loop.events.at(-1)).toMatchObject({ stderrTail: expect.stringContaining("never") });
});

test("a signature that is refused is final", async () => {
  start(() => {}, {
    ...host.activation,
    realise: async () => ({ ok: false, error: { final: true, message: "not signed" } }),
  });
  loop.acknowledge(closure("foreign"), old);
  await reaches("Failed");
  expect(loop.events.at(-1)).toMatchObject({
    phase: "realise",
    untouched: true,
    stderrTail: "not signed",
  });
});

test("a unit of another record is waited for: busy is no failure (hazard 56)", async () => {
  const gate = host.makeClosure("gate", { switch: "mkfifo gate; : > entered; read go < gate" });
  const stranger: UnitRef = {
    rolloutId: rollout("stable@b2"),
    journalId: journal("2"),
    attempt: FIRST_ATTEMPT,
    purpose: "switch",
    tryNo: 1,
  };
  await host.activation.fire({ unit: stranger, closure: gate, deadlineSecs: 60 });
  await vi.waitFor(() => expect(host.exists("entered")).toBe(true));
  loop.acknowledge(newClosure(), old);
  await vi.waitFor(() => expect(troubles.join()).toContain("still runs"));
  expect(loop.story()).toEqual(["DispatchAck"]);
  writeFileSync(join(host.root, "gate"), "go\n");
  await reaches("Soaking");
});

test("called off while it realises, it fires nothing when the closure comes", async () => {
  loop.acknowledge(closure("late"), old);
  await vi.waitFor(() => expect(troubles).not.toEqual([]));
  loop.put({ ...loop.record, supersededBy: rollout("stable@b2") });
  loop.activation.cancel();
  host.makeClosure("late", {}, "cache");
  await workers[0]?.close();
  expect(loop.story()).toEqual(["DispatchAck"]);
  expect(links()).toEqual([old, old, old]);
});

test("a profile that can't be set is a failed activation, not a silence", async () => {
  start(() => {}, {
    ...host.activation,
    setProfile: async (hash) => {
      if (hash !== old) throw new Error("no space left on device");
      await host.activation.setProfile(hash);
    },
  });
  loop.acknowledge(newClosure(), old);
  await reaches("Failed");
  expect(loop.story().at(-1)).toBe("ActivationFailed profile exit unknown untouched");
});

const SWITCH_POINTS = [
  "before-profile",
  "after-profile",
  "before-fire",
  "after-fire",
  "after-unit-ended",
] as const;
test.each(SWITCH_POINTS)("killed at %s, the switch resumes and runs once", async (point) => {
  const died = startToDieAt(point);
  loop.acknowledge(newClosure(), old);
  await died;
  start();
  loop.activation.observe(ROLLOUT);
  await reaches("Soaking");
  expect(switches()).toEqual(["new"]);
  expect(links()).toEqual([
    loop.record.targetClosure,
    loop.record.targetClosure,
    loop.record.targetClosure,
  ]);
});

const ROLLBACK_POINTS = CRASH_POINTS.filter((point) => point.includes("-rollback-"));
test.each(ROLLBACK_POINTS)("killed at %s, the rollback resumes", async (point) => {
  const died = startToDieAt(point);
  loop.acknowledge(newClosure({ switch: "swap current-system; exit 1" }), old);
  await died;
  start();
  loop.activation.observe(ROLLOUT);
  await reaches("Reverted");
  expect(links()).toEqual([old, old, old]);
  expect(switches()).toEqual(["old"]);
});

/** A worker that dies where it first passes the point, as SIGKILL would end it; its units go on. */
function startToDieAt(point: CrashPoint): Promise<void> {
  return new Promise((resolve) => {
    start((passed) => {
      if (passed !== point) return;
      resolve();
      throw new Error(`killed at ${point}`);
    });
  });
}

test("restarted in the middle of a switch, it watches the unit that runs", async () => {
  loop.acknowledge(newClosure({ switch: `mkfifo gate; : > entered; read go < gate; ${OK}` }), old);
  await vi.waitFor(() => expect(host.exists("entered")).toBe(true));
  await workers[0]?.close();
  start();
  loop.activation.observe(ROLLOUT);
  loop.activation.observe(ROLLOUT);
  await vi.waitFor(() =>
    expect(loop.inputs.filter(({ kind }) => kind === "Observed")).toHaveLength(2),
  );
  expect(loop.record.kind).toBe("Activating");
  writeFileSync(join(host.root, "gate"), "go\n");
  await reaches("Soaking");
  expect(switches()).toEqual(["new"]);
});

test("a reboot in the middle of a switch fires it again, three times at most", async () => {
  loop.acknowledge(newClosure({ switch: ": > entered; exec sleep 1005" }), old);
  for (const boot of ["second", "third", "fourth"]) {
    await vi.waitFor(() => expect(host.exists("entered")).toBe(true));
    await workers.at(-1)?.close();
    host.killAll();
    rmSync(join(host.root, "entered"));
    host.writeFile("boot-id", boot);
    start();
    loop.activation.observe(ROLLOUT);
  }
  await reaches("Reverted");
  expect(loop.story().filter((line) => line === "ActivationStarted switch")).toHaveLength(3);
  expect(loop.story()).toContain("ActivationFailed switch exit unknown");
});
