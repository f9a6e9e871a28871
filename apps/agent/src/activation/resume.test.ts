import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CRASH_POINTS, type CrashPoint } from "../crashPoint.ts";
import { SOON } from "./host.fixture.ts";
import { OK, type WorkerBench, workerBench } from "./worker.fixture.ts";

const ROLLOUT = rollout("stable@a1");

let bench: WorkerBench;
vi.setConfig({ testTimeout: 30_000 });
beforeEach(() => {
  bench = workerBench();
});
afterEach(() => bench.remove());

const SWITCH_POINTS = [
  "before-profile",
  "after-profile",
  "before-fire",
  "after-fire",
  "after-unit-ended",
] as const;
test.each(SWITCH_POINTS)("killed at %s, the switch resumes and runs once", async (point) => {
  const died = startToDieAt(point);
  bench.loop.acknowledge(bench.newClosure(), bench.old);
  await died;
  bench.start();
  bench.loop.activation.observe(ROLLOUT);
  await bench.reaches("Soaking");
  expect(bench.switches()).toEqual(["new"]);
  expect(bench.links()).toEqual([
    bench.loop.record.targetClosure,
    bench.loop.record.targetClosure,
    bench.loop.record.targetClosure,
  ]);
});

const ROLLBACK_POINTS = CRASH_POINTS.filter((point) => point.includes("-rollback-"));
test.each(ROLLBACK_POINTS)("killed at %s, the rollback resumes", async (point) => {
  const died = startToDieAt(point);
  bench.loop.acknowledge(bench.newClosure({ switch: "swap current-system; exit 1" }), bench.old);
  await died;
  bench.start();
  bench.loop.activation.observe(ROLLOUT);
  await bench.reaches("Reverted");
  expect(bench.links()).toEqual([bench.old, bench.old, bench.old]);
  expect(bench.switches()).toEqual(["old"]);
});

/** A worker that dies where it first passes the point, as SIGKILL would end it; its units go on. */
function startToDieAt(point: CrashPoint): Promise<void> {
  return new Promise((resolve) => {
    bench.start((passed) => {
      if (passed !== point) return;
      resolve();
      throw new Error(`killed at ${point}`);
    });
  });
}

test("restarted in the middle of a switch, it watches the unit that runs", async () => {
  bench.loop.acknowledge(
    bench.newClosure({ switch: `mkfifo gate; : > entered; read go < gate; ${OK}` }),
    bench.old,
  );
  await vi.waitFor(() => expect(bench.host.exists("entered")).toBe(true), SOON);
  await bench.stop();
  bench.start();
  bench.loop.activation.observe(ROLLOUT);
  bench.loop.activation.observe(ROLLOUT);
  await vi.waitFor(
    () => expect(bench.loop.inputs.filter(({ kind }) => kind === "Observed")).toHaveLength(2),
    SOON,
  );
  expect(bench.loop.record.kind).toBe("Activating");
  writeFileSync(join(bench.host.root, "gate"), "go\n");
  await bench.reaches("Soaking");
  expect(bench.switches()).toEqual(["new"]);
});

test("a reboot in the middle of a switch fires it again, three times at most", async () => {
  bench.loop.acknowledge(bench.newClosure({ switch: ": > entered; exec sleep 1005" }), bench.old);
  for (const boot of ["second", "third", "fourth"]) {
    await vi.waitFor(() => expect(bench.host.exists("entered")).toBe(true), SOON);
    await bench.stop();
    bench.host.killAll();
    rmSync(join(bench.host.root, "entered"));
    bench.host.writeFile("boot-id", boot);
    bench.start();
    bench.loop.activation.observe(ROLLOUT);
  }
  await bench.reaches("Reverted");
  expect(bench.loop.story().filter((line) => line === "ActivationStarted switch")).toHaveLength(3);
  expect(bench.loop.story()).toContain("ActivationFailed switch exit unknown");
});
