import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addSecs, type ClosureHash, FIRST_ATTEMPT } from "@nixwave/effects";
import { closure, journal, rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SOON } from "./host.fixture.ts";
import type { UnitRef } from "./unit.ts";
import { OK, type WorkerBench, workerBench } from "./worker.fixture.ts";

const ROLLOUT = rollout("stable@a1");

let bench: WorkerBench;
vi.setConfig({ testTimeout: 30_000 });
beforeEach(() => {
  bench = workerBench();
});
afterEach(() => bench.remove());

const tells = (line: string) => vi.waitFor(() => expect(bench.loop.story()).toContain(line), SOON);
const unit = (purpose: "switch" | "rollback", tryNo = 1) => {
  const { rolloutId, journalId, attempt } = bench.loop.record;
  return { rolloutId, journalId, attempt, purpose, tryNo };
};

test("a good switch: profile, unit, and only then completed", async () => {
  const target = bench.newClosure();
  bench.loop.acknowledge(target, bench.old);
  await bench.reaches("Soaking");
  expect(bench.loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted switch",
    "ActivationCompleted new exit 0",
  ]);
  expect(bench.links()).toEqual([target, target, target]);
  expect(await bench.host.activation.pinned("target")).toBe(target);
  expect(await bench.host.activation.pinned("rollback")).toBe(bench.old);
  expect(await bench.host.activation.pinned("known-good")).toBe(bench.old);
});

test("asked twice, and while it is at work, it switches once", async () => {
  bench.loop.acknowledge(bench.newClosure(), bench.old);
  for (let times = 0; times < 5; times += 1) {
    bench.loop.activation.fireSwitch(ROLLOUT);
    bench.loop.activation.observe(ROLLOUT);
  }
  await bench.reaches("Soaking");
  bench.loop.activation.fireSwitch(ROLLOUT);
  expect(bench.switches()).toEqual(["new"]);
});

test("what already runs everywhere is not switched again", async () => {
  const target = bench.newClosure();
  bench.host.setLinks(target, "current-system", "profile", "boot");
  bench.loop.acknowledge(target, null);
  await bench.reaches("Soaking");
  expect(bench.loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted none",
    "ActivationCompleted new exit unknown",
  ]);
  expect(bench.host.exists("switches")).toBe(false);
});

test("exit 4 with the target running is for the probes to judge", async () => {
  bench.loop.acknowledge(bench.newClosure({ switch: `${OK}; exit 4` }), bench.old);
  await bench.reaches("Soaking");
  expect(bench.loop.story().at(-1)).toBe("ActivationCompleted new exit 4");
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
  bench.loop.acknowledge(bench.newClosure({ switch: script }), bench.old);
  await bench.reaches("Reverted");
  expect(bench.loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted switch",
    failure,
    "RollbackStarted",
    "RollbackComplete old",
  ]);
  expect(bench.links()).toEqual([bench.old, bench.old, bench.old]);
  expect(bench.switches()).toEqual(["old"]);
  expect(JSON.stringify(bench.loop.inputs)).not.toContain("hunter2");
});

test("what check refuses has changed nothing, and needs no rollback", async () => {
  bench.loop.acknowledge(bench.newClosure({ check: "echo an inhibitor >&2; exit 3" }), bench.old);
  await bench.reaches("Failed");
  expect(bench.loop.story()).toEqual(["DispatchAck", "ActivationFailed check exit 3 untouched"]);
  expect(bench.loop.record).toMatchObject({ rollback: "none" });
  expect(bench.links()).toEqual([bench.old, bench.old, bench.old]);
});

test("100 stages the next boot, and the new boot completes or fails it (hazard 52)", async () => {
  const target = bench.newClosure({ switch: "echo component: kernel; exit 100" });
  bench.loop.acknowledge(target, bench.old);
  await bench.reaches("Deferred");
  expect(bench.loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted switch",
    "ActivationDeferred kernel",
  ]);
  expect(bench.links()).toEqual([bench.old, target, target]);

  bench.loop.activation.observe(ROLLOUT);
  bench.host.setLinks(target, "current-system");
  bench.host.writeFile("boot-id", "after-the-reboot");
  bench.start();
  bench.loop.activation.observe(ROLLOUT);
  await bench.reaches("Soaking");
});

test("a component that can't be swapped live is staged without a switch", async () => {
  const target = bench.newClosure({ switch: "echo new >> switches; exit 1" });
  declareComponents(bench.old, "kernel 6.12.1\nsystemd 257\n");
  declareComponents(target, "systemd 257\nkernel 6.12.2\n");
  bench.loop.acknowledge(target, bench.old);
  await bench.reaches("Deferred");
  expect(bench.loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted boot",
    "ActivationDeferred kernel",
  ]);
  expect(bench.links()).toEqual([bench.old, target, target]);
  expect(bench.host.exists("switches")).toBe(false);
});

test("the same versions under another path are swapped live (hazard 52)", async () => {
  const target = bench.newClosure();
  declareComponents(bench.old, "kernel 6.12.1\n");
  declareComponents(target, "kernel 6.12.1\ndbus 1.14\n");
  bench.loop.acknowledge(target, bench.old);
  await bench.reaches("Soaking");
});

function declareComponents(hash: ClosureHash, text: string): void {
  const folder = join(bench.host.activation.closurePath(hash), "etc/nixwave/agent");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "components"), text);
}

test("100 whose boot entry does not come up is a failed switch", async () => {
  bench.loop.acknowledge(bench.newClosure({ switch: "exit 100", boot: "exit 0" }), bench.old);
  await bench.reaches("Reverted");
  expect(bench.loop.story()).toContain("ActivationFailed switch exit 0");
});

test("a new switch first makes what runs the boot default again", async () => {
  const staged = bench.host.makeClosure("staged");
  bench.host.setLinks(staged, "boot", "profile");
  bench.loop.acknowledge(
    bench.newClosure({ switch: "readlink boot > boot-at-switch; exit 1" }),
    bench.old,
  );
  await bench.reaches("Reverted");
  expect(readFileSync(join(bench.host.root, "boot-at-switch"), "utf8")).toContain(bench.old);
});

test("a hung switch is stopped at its deadline, seen to have ended, and rolled back", async () => {
  bench.loop.acknowledge(
    bench.newClosure({
      switch: `swap current-system; : > entered; trap "" TERM; while :; do sleep 1003; done`,
    }),
    bench.old,
  );
  await vi.waitFor(() => expect(bench.host.exists("entered")).toBe(true), SOON);
  bench.loop.tick();
  expect(bench.loop.record.kind).toBe("Activating");
  bench.loop.now = addSecs(bench.loop.now, 900);
  bench.loop.tick();
  bench.loop.tick();
  await bench.reaches("Reverted");
  expect(bench.loop.story()).toEqual([
    "DispatchAck",
    "ActivationStarted switch",
    "ActivationFailed timeout exit unknown",
    "RollbackStarted",
    "RollbackComplete old",
  ]);
  expect(bench.links()).toEqual([bench.old, bench.old, bench.old]);
});

test("a rollback stops the switch that still runs, and goes to its target though the profile has moved on (hazard 49)", async () => {
  const other = bench.host.makeClosure("other");
  bench.loop.acknowledge(
    bench.newClosure({ switch: `swap current-system; : > entered; exec sleep 1004` }),
    bench.old,
  );
  await vi.waitFor(() => expect(bench.host.exists("entered")).toBe(true), SOON);
  bench.host.setLinks(other, "profile");
  await bench.loop.submit({
    kind: "SwitchBroke",
    of: { rolloutId: ROLLOUT, journalId: journal("1"), attempt: bench.loop.record.attempt },
    phase: "timeout",
    untouched: false,
    exitCode: null,
    stderrTail: "",
  });
  await bench.reaches("Reverted");
  expect(bench.links()).toEqual([bench.old, bench.old, bench.old]);
  expect(await bench.host.activation.unit(unit("switch"))).toEqual({ kind: "killed" });
});

test("a rollback target that is gone is asked for once, said, and tried again when its time comes", async () => {
  const moved = bench.host.makeClosure("old", {}, "cache");
  rmSync(join(bench.host.dir, "closures", bench.old), { recursive: true });
  rmSync(join(bench.host.dir, "cache", moved), { recursive: true });
  bench.loop.acknowledge(bench.newClosure({ switch: "exit 1" }), bench.old);
  // The boot default can't be restored either, but nothing needs it: all three links still name the target.
  await tells("RollbackFailed");
  const failure = bench.loop.events.find((event) => event.kind === "RollbackFailed");
  expect(failure?.stderrTail).toMatch(/^target-gone: /);
  expect(bench.loop.record).toMatchObject({ kind: "Failed", rollback: "failed" });

  bench.host.makeClosure("old", {}, "cache");
  bench.loop.now = addSecs(bench.loop.now, 60);
  bench.loop.tick();
  await bench.reaches("Reverted");
  expect(bench.links()).toEqual([bench.old, bench.old, bench.old]);
});

test("a rollback that fails by itself says so with its last words", async () => {
  bench.host.makeClosure("old", { switch: "echo no such service >&2; exit 2" });
  bench.loop.acknowledge(bench.newClosure({ switch: "swap current-system; exit 1" }), bench.old);
  await tells("RollbackFailed");
  expect(bench.loop.events.at(-1)).toMatchObject({ exitCode: 2, stderrTail: "no such service" });
});

test("a rollback that ends with 100 is staged for the next boot, and the new boot completes it", async () => {
  bench.host.makeClosure("old", { switch: "echo component: dbus; exit 100", boot: "swap boot" });
  const target = bench.newClosure({ switch: "swap boot; swap current-system; exit 1" });
  bench.loop.acknowledge(target, bench.old);
  await tells("RollbackFailed");
  expect(bench.loop.events.at(-1)).toMatchObject({ exitCode: 100 });
  expect(bench.links()).toEqual([target, bench.old, bench.old]);

  bench.host.setLinks(bench.old, "current-system");
  bench.host.writeFile("boot-id", "after-the-reboot");
  bench.start();
  bench.loop.activation.observe(ROLLOUT);
  await bench.reaches("Reverted");
});

test("realising is tried again until the closure comes", async () => {
  const target = closure("late");
  bench.loop.acknowledge(target, bench.old);
  await vi.waitFor(() => expect(bench.troubles.join()).toContain(target), SOON);
  bench.host.makeClosure("late", {}, "cache");
  await bench.reaches("Soaking");
  expect(bench.loop.record.targetClosure).toBe(target);
});

test("realising ends at realiseTimeoutSecs, untouched, and says why it never came", async () => {
  bench.loop.acknowledge(closure("never"), bench.old, { realiseTimeoutSecs: 60 });
  await vi.waitFor(() => expect(bench.troubles).not.toEqual([]), SOON);
  bench.loop.now = addSecs(bench.loop.now, 60);
  bench.loop.tick();
  await bench.reaches("Failed");
  expect(bench.loop.story()).toEqual([
    "DispatchAck",
    "ActivationFailed realise exit unknown untouched",
  ]);
  expect(bench.loop.events.at(-1)).toMatchObject({ stderrTail: expect.stringContaining("never") });
});

test.each([
  ["from the first moment on", []],
  ["after a cache that was down", ["no cache answers"]],
])("what still comes at realiseTimeoutSecs is called slow: %s", async (_, refusals) => {
  const pending = [...refusals];
  const begun = Promise.withResolvers<void>();
  bench.start(() => {}, {
    ...bench.host.activation,
    realise: async (_wanted, signal) => {
      const message = pending.shift();
      if (message !== undefined) return { ok: false, error: { final: false, message } };
      begun.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return { ok: false, error: { final: false, message: "killed" } };
    },
  });
  const target = closure("slow");
  bench.loop.acknowledge(target, bench.old, { realiseTimeoutSecs: 60 });
  await begun.promise;
  bench.loop.now = addSecs(bench.loop.now, 60);
  bench.loop.tick();
  await bench.reaches("Failed");
  const path = bench.host.activation.closurePath(target);
  const before = refusals.map((refusal) => `; before that: ${refusal}`).join("");
  expect(bench.loop.events.at(-1)).toMatchObject({
    phase: "realise",
    stderrTail: `slow: the caches have not sent all of ${path} within realiseTimeoutSecs (60 s)${before}`,
  });
});

test("what the switch waits for is told without secrets, until it waits no more", async () => {
  const refusals = ["no cache answers to hunter2"];
  bench.start(() => {}, {
    ...bench.host.activation,
    realise: async () => {
      const [message] = refusals;
      return message === undefined
        ? { ok: true, value: null }
        : { ok: false, error: { final: false, message } };
    },
  });
  const waitsFor = () => bench.loop.activation.waitsFor();
  expect(waitsFor()).toBeNull();
  bench.loop.acknowledge(bench.newClosure(), bench.old);
  expect(waitsFor(), "nothing was refused yet").toBeNull();
  await expect.poll(waitsFor, SOON).toBe("no cache answers to [redacted]");
  await expect.poll(() => bench.troubles.length, SOON).toBeGreaterThan(2);
  expect(bench.asked, "one heartbeat for it, however often it is refused").toHaveLength(1);
  refusals.pop();
  await bench.reaches("Soaking");
  expect(waitsFor()).toBeNull();
});

test("a check that never ends is not called a slow cache", async () => {
  const begun = Promise.withResolvers<void>();
  bench.start(() => {}, {
    ...bench.host.activation,
    check: async (_closure, signal) => {
      begun.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return { kind: "unsupported" };
    },
  });
  bench.loop.acknowledge(bench.newClosure(), bench.old, { realiseTimeoutSecs: 60 });
  await begun.promise;
  bench.loop.now = addSecs(bench.loop.now, 60);
  bench.loop.tick();
  await bench.reaches("Failed");
  expect(bench.loop.events.at(-1)).toMatchObject({
    phase: "realise",
    stderrTail: expect.stringMatching(/ is here, and is still being pinned and checked$/),
  });
});

/** A store that has lost a closure; `realise` has it again or not. */
function losing(lost: ClosureHash, isInCache: boolean) {
  const { activation } = bench.host;
  let isHere = false;
  bench.start(() => {}, {
    ...activation,
    pin: async (name, wanted) => {
      if (wanted === lost && !isHere) throw new Error(`${lost} is not valid`);
      await activation.pin(name, wanted);
    },
    realise: async (wanted, signal) => {
      if (wanted.closure !== lost) return await activation.realise(wanted, signal);
      isHere = isInCache;
      return isHere
        ? { ok: true, value: null }
        : { ok: false, error: { final: false, message: `no cache has all of ${lost}` } };
    },
  });
}

test.each([
  ["no cache has it: that is logged, and the release that may be the cure goes on", false],
  ["a cache has it: it is fetched and kept", true],
])("a way back that is gone, and not what runs; %s", async (_, isInCache) => {
  const lost = closure("lost");
  losing(lost, isInCache);
  bench.loop.acknowledge(bench.newClosure(), lost);
  await bench.reaches("Soaking");
  expect(await bench.host.activation.pinned("rollback")).toBe(isInCache ? lost : null);
  const trouble = `the closure to roll back to is gone: no cache has all of ${lost}`;
  expect(bench.troubles).toEqual(isInCache ? [] : [trouble]);
});

test("what runs must be kept before anything replaces it", async () => {
  losing(bench.old, true);
  bench.loop.acknowledge(bench.newClosure(), bench.old);
  const trouble = `the switch has to wait: ${bench.old} is not valid`;
  await vi.waitFor(() => expect(bench.troubles).toContain(trouble), SOON);
  await bench.stop();
  expect(bench.loop.story()).toEqual(["DispatchAck"]);
});

test("a signature that is refused is final", async () => {
  bench.start(() => {}, {
    ...bench.host.activation,
    realise: async () => ({ ok: false, error: { final: true, message: "not signed" } }),
  });
  bench.loop.acknowledge(closure("foreign"), bench.old);
  await bench.reaches("Failed");
  expect(bench.loop.events.at(-1)).toMatchObject({
    phase: "realise",
    untouched: true,
    stderrTail: "not signed",
  });
});

test("the backend is told the digest that the verified release gives, on every try", async () => {
  const told: unknown[] = [];
  bench.start(() => {}, {
    ...bench.host.activation,
    realise: async (wanted) => {
      told.push(wanted);
      return { ok: false, error: { final: told.length === 2, message: "other content" } };
    },
  });
  const target = closure("covered");
  bench.loop.acknowledge(target, bench.old);
  const { record } = bench.loop;
  if (record.kind !== "Activating") throw new Error(record.kind);
  const closureDigest = "c".repeat(64);
  bench.loop.put({ ...record, terms: { ...record.terms, closureDigest } });
  await bench.reaches("Failed");
  expect(told).toEqual([
    { closure: target, digest: closureDigest },
    { closure: target, digest: closureDigest },
  ]);
});

test("a unit of another record is waited for: busy is no failure (hazard 56)", async () => {
  const gate = bench.host.makeClosure("gate", {
    switch: "mkfifo gate; : > entered; read go < gate",
  });
  const stranger: UnitRef = {
    rolloutId: rollout("stable@b2"),
    journalId: journal("2"),
    attempt: FIRST_ATTEMPT,
    purpose: "switch",
    tryNo: 1,
  };
  await bench.host.activation.fire({ unit: stranger, closure: gate, deadlineSecs: 60 });
  await vi.waitFor(() => expect(bench.host.exists("entered")).toBe(true), SOON);
  bench.loop.acknowledge(bench.newClosure(), bench.old);
  await vi.waitFor(() => expect(bench.troubles.join()).toContain("still runs"), SOON);
  expect(bench.loop.story()).toEqual(["DispatchAck"]);
  writeFileSync(join(bench.host.root, "gate"), "go\n");
  await bench.reaches("Soaking");
});

test("called off while it realises, it fires nothing when the closure comes", async () => {
  bench.loop.acknowledge(closure("late"), bench.old);
  await vi.waitFor(() => expect(bench.troubles).not.toEqual([]), SOON);
  bench.loop.put({ ...bench.loop.record, supersededBy: rollout("stable@b2") });
  bench.loop.activation.cancel();
  bench.host.makeClosure("late", {}, "cache");
  await bench.stop();
  expect(bench.loop.story()).toEqual(["DispatchAck"]);
  expect(bench.links()).toEqual([bench.old, bench.old, bench.old]);
});

test("a profile that can't be set is a failed activation, not a silence", async () => {
  bench.start(() => {}, {
    ...bench.host.activation,
    setProfile: async (hash) => {
      if (hash !== bench.old) throw new Error("no space left on device");
      await bench.host.activation.setProfile(hash);
    },
  });
  bench.loop.acknowledge(bench.newClosure(), bench.old);
  await bench.reaches("Failed");
  expect(bench.loop.story().at(-1)).toBe("ActivationFailed profile exit unknown untouched");
});
