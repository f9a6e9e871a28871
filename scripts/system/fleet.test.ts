import { afterAll, beforeAll, expect, test } from "vitest";
import { pause } from "../demo/deadline.ts";
import { EIGHT_HOSTS } from "../demo/declaration.ts";
import { Fleet } from "./fleet.ts";

// Eight hosts in three waves, from one release to the next.

const fleet = new Fleet(EIGHT_HOSTS);
beforeAll(() => fleet.start(), 180_000);
afterAll(() => fleet.stop());

const runningOf = async () => {
  const page = await fleet.client.call("getHosts", { query: {} });
  const items = page.ok ? page.value.items : [];
  return items.map(({ host, currentClosure }): [string, string | null] => [host, currentClosure]);
};

test("three waves converge on eight hosts, and each runs its own closure", async () => {
  const begun = performance.now();
  const released = await fleet.release({ version: "app-1" });
  const published = performance.now();
  await fleet.reached("canary-1", released, ["Soaking", "Converged"]);
  const switched = performance.now();
  await fleet.converged(released, 120);
  const ended = performance.now();
  const secs = (ms: number): string => (ms / 1000).toFixed(1);
  console.log(
    `eight hosts: built, pushed and released in ${secs(published - begun)} s; ` +
      `release to first switch ${secs(switched - published)} s, to converged ${secs(ended - published)} s`,
  );
  for (const [name, host] of fleet.hosts) {
    const path = `/nix/store/${released.closures.get(name)}`;
    expect((await host.must("readlink", "/run/current-system")).trim(), name).toBe(path);
  }
});

test("a bad release reverts the canary and nobody else switched; the fix converges", async () => {
  const before = new Map(await runningOf());
  const sick = [{ name: "app", kind: "exec", argv: ["false"], intervalSecs: 0.5 }];
  const bad = await fleet.release({ version: "app-2", checks: sick });
  await fleet.reached("canary-1", bad, ["Reverted"]);
  const { rolloutId } = bad;
  const page = await fleet.client.call("getRollout", { params: { rolloutId } });
  expect(page.ok ? page.value.rollout.state : page).toMatch(/Halted|Reverted/);
  for (const [name, host] of fleet.hosts) {
    const current = (await host.must("readlink", "/run/current-system")).trim();
    expect(current, name).toBe(`/nix/store/${before.get(name)}`);
    expect(await fleet.state(name, rolloutId), name).toBe(name === "canary-1" ? "Reverted" : null);
  }
  await fleet.converged(await fleet.release({ version: "app-3" }), 120);
});

const IDLE_SECS = 20;
/** Node itself and its code take most of it. */
const RESIDENT_MIB_MAX = 250;
/** Of one core; measured on a machine that eight hosts and a control plane share. */
const IDLE_CPU_SHARE_MAX = 0.1;

test("the agent of a host is small, and does next to nothing while nothing happens", async () => {
  const host = fleet.host("mail-1");
  const show = async (property: string): Promise<number> =>
    Number(await host.must("systemctl", "show", "--value", "-p", property, "nixwave-agent"));
  const pid = await show("MainPID");
  const status = host.readText(`/proc/${pid}/status`) ?? "";
  const residentMib = Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1]) / 1024;
  const before = await show("CPUUsageNSec");
  await pause(IDLE_SECS * 1000, new AbortController().signal);
  const cpuSecs = ((await show("CPUUsageNSec")) - before) / 1e9;
  console.log(
    `agent: ${residentMib.toFixed(0)} MiB resident; ${cpuSecs.toFixed(2)} CPU seconds in ${IDLE_SECS} idle seconds, ` +
      `with a heartbeat every 2 s instead of 60`,
  );
  expect(residentMib).toBeLessThan(RESIDENT_MIB_MAX);
  expect(cpuSecs / IDLE_SECS).toBeLessThan(IDLE_CPU_SHARE_MAX);
});
