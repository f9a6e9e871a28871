import { afterAll, beforeAll, expect, test } from "vitest";
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
