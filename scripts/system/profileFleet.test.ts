import type { ClosureHash, Policy } from "@nixwave/effects";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet, type Released } from "./fleet.ts";

// Profiles through whole rollouts: the real agent as a unit of systemd's, which runs their scripts in units beside itself.

const LOG = "/srv/log";
const PROFILE = "/nix/var/nix/profiles/nixwave/app";
const ACTIVE = "/var/lib/nixwave-active/app";
const NAMES = ["a", "b"] as const;
type Name = (typeof NAMES)[number];
const fleet = new Fleet(
  NAMES.map((name) => ({ name, wave: 1, tags: [] })),
  { maxFailures: 1000 },
  { activation: { backend: "profile", profile: PROFILE, active: ACTIVE, args: [LOG] } },
);
beforeAll(() => fleet.start(), 180_000);
afterAll(() => fleet.stop());

/** Each script says its version, and then does what it is to do on this host. */
async function release(
  version: string,
  does: Partial<Record<Name, string>> = {},
  policy: Partial<Policy> = {},
): Promise<Released> {
  const closures = new Map<string, ClosureHash>();
  for (const name of NAMES) {
    const activate = `#!/bin/sh\necho ${version} >> "$1"\n${does[name] ?? ":"}`;
    const closure = await fleet.lab.buildProfile({ name, version, script: "activate", activate });
    await fleet.lab.push(closure);
    closures.set(name, closure);
  }
  return await fleet.publish(version, closures, { policy });
}

const logOf = (name: Name): readonly string[] =>
  (fleet.host(name).readText(LOG) ?? "").trim().split("\n");
const isOn = async (name: Name, released: Released): Promise<void> => {
  const links = await fleet.host(name).must("readlink", "-f", ACTIVE, PROFILE);
  const path = `/nix/store/${released.closures.get(name)}`;
  expect(links).toBe(`${path}\n${path}\n`);
};

test("with no generation before it, a first release that fails has nothing to go back to; the next one converges", async () => {
  const first = await release("first", { a: "exit 7" });
  await fleet.reached("b", first, ["Converged"]);
  await fleet.reached("a", first, ["Failed"]);
  await isOn("b", first);
  expect(await fleet.host("a").run(["readlink", ACTIVE])).toMatchObject({ stdout: "" });
  const second = await release("second");
  await fleet.converged(second);
  for (const name of NAMES) await isOn(name, second);
  expect([logOf("a"), logOf("b")]).toEqual([
    ["first", "second"],
    ["first", "second"],
  ]);
});

test("a script that fails and one that hangs past its timeout: both go back to the exact closure before, whose script runs again", async () => {
  const good = await release("good");
  await fleet.converged(good);
  const bad = await release("bad", { a: "exit 7", b: "sleep 600" }, { activationTimeoutSecs: 5 });
  for (const name of NAMES) {
    await fleet.reached(name, bad, ["Reverted"]);
    await isOn(name, good);
    expect(logOf(name).slice(-3)).toEqual(["good", "bad", "good"]);
  }
  expect((await fleet.events("a", bad)).join("\n")).toContain('"exitCode":7');
  expect((await fleet.events("b", bad)).join("\n")).toContain('"phase":"timeout"');
});

test("dead after the profile was set back, before the script has run: it runs all the same, after the agent's death and the host's (hazard 49)", async () => {
  const good = await release("good-2");
  await fleet.converged(good);
  for (const name of NAMES) await fleet.arm(name, "after-rollback-profile");
  const dies = fleet.cutPowerAtDeath("b");
  const bad = await release("bad-2", { a: "exit 7", b: "exit 7" });
  await dies;
  for (const name of NAMES) {
    await fleet.reached(name, bad, ["Reverted"], 90);
    await isOn(name, good);
    // Everything named the good closure when the agent came back, and yet half of the bad one was done.
    expect(logOf(name).slice(-3), name).toEqual(["good-2", "bad-2", "good-2"]);
  }
});
