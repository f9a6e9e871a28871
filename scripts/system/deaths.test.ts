import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet, type Released } from "./fleet.ts";

// At each point of a switch and of a rollback: the agent of `a` is killed, the power of `b` goes, `c` is left alone.

const NAMES = ["a", "b", "c"] as const;
const fleet = new Fleet(
  NAMES.map((name) => ({ name, wave: 1, tags: [] })),
  { maxFailures: 1000 },
);
beforeAll(() => fleet.start(), 180_000);
afterAll(() => fleet.stop());

const currentOf = async (host: string): Promise<string> =>
  (await fleet.host(host).must("readlink", "/run/current-system")).trim();

async function ends(released: Released, wanted: readonly string[]): Promise<void> {
  const before = new Map<string, string>();
  for (const name of NAMES) before.set(name, allowed.get(name) ?? "");
  for (const name of NAMES) {
    const state = await fleet.reached(name, released, wanted, 90);
    if (state === "Failed") expect(await fleet.screen("why", name)).toMatch(/^ +failed +\S/m);
    const target = `/nix/store/${released.closures.get(name)}`;
    const current = await currentOf(name);
    expect([target, before.get(name)], `${name} runs what was signed`).toContain(current);
    allowed.set(name, current);
  }
}
/** What each host ran when the release came. */
const allowed = new Map<string, string>();

test.each([
  ["the acknowledgement is committed", "before-perform-LocalFireSwitch"],
  ["the profile is set", "after-profile"],
  ["the unit runs", "after-fire"],
  ["the unit has ended and nobody was told", "after-unit-ended"],
])("dead when %s: the agent, and the host", async (_, point) => {
  for (const name of NAMES) allowed.set(name, await currentOf(name));
  await Promise.all([fleet.arm("a", point), fleet.arm("b", point)]);
  const dies = fleet.cutPowerAtDeath("b");
  const released = await fleet.release({ version: point, switch: "entry; activate; sleep 0.5" });
  await dies;
  await ends(released, ["Converged", "Reverted", "Failed"]);
  expect(await fleet.state("c", released.rolloutId), "undisturbed").toBe("Converged");
});

test("dead while it realises: the agent, and the host", async () => {
  for (const name of NAMES) allowed.set(name, await currentOf(name));
  fleet.lab.cache("slow");
  const released = await fleet.release({
    version: "slow",
    extra: "head -c 300000 /dev/zero > $out/big",
  });
  for (const name of ["a", "b"]) {
    const busy = async () =>
      (await fleet.host(name).run(["pgrep", "-f", "nix-store --realise"])).stdout;
    await expect.poll(busy, { timeout: 30_000 }).not.toBe("");
  }
  await fleet.host("a").must("systemctl", "kill", "-s", "KILL", "nixwave-agent");
  await fleet.host("b").powerCut();
  await fleet.host("b").boot();
  fleet.lab.cache("serve");
  await ends(released, ["Converged"]);
});

test("dead while the rollback runs: the agent, and the host", async () => {
  for (const name of NAMES) allowed.set(name, await currentOf(name));
  const point = "after-rollback-fire";
  await Promise.all([fleet.arm("a", point), fleet.arm("b", point)]);
  const dies = fleet.cutPowerAtDeath("b");
  const checks = [{ name: "app", kind: "exec", argv: ["false"], intervalSecs: 0.5 }];
  const released = await fleet.release({ version: "sick", checks });
  await dies;
  const before = new Map(allowed);
  await ends(released, ["Reverted"]);
  for (const name of NAMES) expect(await currentOf(name)).toBe(before.get(name));
});
