import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { pause } from "../demo/deadline.ts";
import { Fleet } from "./fleet.ts";

// What takes five minutes of real time, all in the same five; nearly all of it is waiting, which costs no CPU. The other files
// run beside it.

vi.setConfig({ testTimeout: 600_000 });
const FIVE_MINUTES_MS = 300_000;
const never = new AbortController().signal;
/** Ends while the link is cut, so that each host converges alone. */
const SOAK_SECS = 200;
/** A heartbeat that was under way when the link was cut, on a busy machine. */
const UNDER_WAY_MS = 30_000;
const CATCH_UP_SECS = 90;
const SOAKING = ["a", "b", "c"] as const;

const soaking = new Fleet(
  [...SOAKING.map((name) => ({ name, wave: 1, tags: [] })), { name: "next", wave: 2, tags: [] }],
  {
    soakSecs: SOAK_SECS,
    thresholdSecs: 60,
    // As a release has them that says nothing of it.
    policy: { probeReportSecs: 60, lostSecs: 900, offlineGraceSecs: 3600 },
  },
);
const idle = new Fleet(
  [{ name: "idle", wave: 1, tags: [] }],
  {},
  // As an agent's configuration has it that says nothing of it.
  { pace: { heartbeatSecs: 60, pollWaitSecs: 60 } },
);
beforeAll(() => Promise.all([soaking.start(), idle.start()]), 240_000);
afterAll(() => Promise.all([soaking.stop(), idle.stop()]));

/** When the control plane last heard of a host. */
async function heardAt(host: string): Promise<number> {
  const page = await soaking.client.call("getHosts", { query: {} });
  const row = page.ok ? page.value.items.find((one) => one.host === host) : undefined;
  return row?.lastHeardAt ?? expect.fail(`${host} was never heard of`);
}

test.concurrent("the control plane's link cut for five minutes while three hosts soak: none rolls back, all catch up in order", async () => {
  const checks = [{ name: "app", kind: "exec", argv: ["true"], intervalSecs: 5 }];
  const released = await soaking.release({ version: "soaks", checks });
  for (const name of SOAKING) await soaking.reached(name, released, ["Soaking"]);
  await soaking.lab.cpLink("down");
  const cutAt = Date.now();
  await pause(FIVE_MINUTES_MS, never);
  for (const name of SOAKING) {
    expect(await heardAt(name), `${name} was cut off`).toBeLessThan(cutAt + UNDER_WAY_MS);
    expect(await soaking.state(name, released.rolloutId), "as it is known").toBe("Soaking");
    expect(await soaking.runs(name)).toBe(released.closures.get(name));
  }
  expect(await soaking.state("next", released.rolloutId), "the wave is not over").toBe(null);
  const mendedAt = Date.now();
  await soaking.lab.cpLink("up");
  for (const name of SOAKING) {
    await soaking.reached(name, released, ["Converged"], CATCH_UP_SECS);
    const lines = await soaking.told(name, released);
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, at) => at + 1));
    const kinds = lines.map(({ event }) => event.kind);
    expect(kinds).not.toContain("Failed");
    expect(kinds).not.toContain("RollbackStarted");
    const last = lines.at(-1)?.event;
    if (last?.kind !== "Converged") expect.fail(`${name} ended with ${last?.kind}`);
    expect(last.convergedAt, "alone, while the link was cut").toBeGreaterThan(cutAt);
    expect(last.convergedAt, "alone, while the link was cut").toBeLessThan(mendedAt);
    expect(await soaking.runs(name)).toBe(released.closures.get(name));
  }
  await soaking.reached("next", released, ["Activating", "Soaking"], CATCH_UP_SECS);
});

/** Node itself and its code take most of it. */
const RESIDENT_MIB_MAX = 200;
/** Of one core. What is measured is a fifth of it; a busy machine makes the same work dearer. */
const IDLE_CPU_SHARE_MAX = 0.01;

test.concurrent("the agent of a host is small, and does next to nothing in five minutes in which nothing happens", async () => {
  await idle.converged(await idle.release({ version: "idle" }));
  const host = idle.host("idle");
  const show = async (property: string): Promise<number> =>
    Number(await host.must("systemctl", "show", "--value", "-p", property, "nixwave-agent"));
  const pid = await show("MainPID");
  const before = await show("CPUUsageNSec");
  await pause(FIVE_MINUTES_MS, never);
  const cpuSecs = ((await show("CPUUsageNSec")) - before) / 1e9;
  expect(await show("MainPID"), "one process all the time").toBe(pid);
  const status = host.readText(`/proc/${pid}/status`) ?? "";
  const residentMib = Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1]) / 1024;
  console.log(
    `agent: ${residentMib.toFixed(0)} MiB resident; ${cpuSecs.toFixed(2)} CPU seconds in five idle minutes`,
  );
  expect(residentMib).toBeLessThan(RESIDENT_MIB_MAX);
  expect(cpuSecs).toBeGreaterThan(0);
  expect(cpuSecs / (FIVE_MINUTES_MS / 1000)).toBeLessThan(IDLE_CPU_SHARE_MAX);
});
