import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClosureHash } from "@nixwave/effects";
import { hostName } from "@nixwave/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../demo/deadline.ts";
import { Fleet, type Released } from "./fleet.ts";
import type { SystemPlan } from "./lab.ts";

// One rollout in which each host of the first wave meets a defect of its own. What an operator reads of it is asserted in the
// words of `nixwave why`.

const DEFECTS = [
  "digest",
  "unsigned",
  "foreign",
  "dependency",
  "tampered",
  "down",
  "slow",
  "full",
  "gone",
  "hangs",
] as const;
type Defect = (typeof DEFECTS)[number];
const WAVES = [...DEFECTS.map((name) => ({ name, wave: 1 })), { name: "well", wave: 1 }];

const REALISE_SECS = 45;
const SWITCH_SECS = 20;
/** Room for what runs and what comes, and little more. */
const STORE_MIB = 24;
const BIG_BYTES = 8 * 1024 * 1024;
const LEFT_BYTES = 1024 * 1024;
const BALLAST = "/nix/ballast";
/** Three polls. */
const LOST_SECS = 30;
const never = new AbortController().signal;

const fleet = new Fleet(
  [...WAVES, { name: "after", wave: 2 }].map((host) => ({ ...host, tags: [] })),
  {
    maxFailures: 1000,
    policy: { realiseTimeoutSecs: REALISE_SECS, activationTimeoutSecs: SWITCH_SECS },
  },
  { storeMib: { full: STORE_MIB } },
);
beforeAll(() => fleet.start(), 240_000);
afterAll(() => fleet.stop());

/** A switch that forgets what it came from, and waits until the cache is down for it. */
const FORGETS =
  "entry; activate; rm -f /nix/var/nix/gcroots/nixwave/*; " +
  "nix-env -p /nix/var/nix/profiles/system --delete-generations old; nix-store --gc; " +
  ": > /srv/forgotten; until [ -e /srv/go ]; do sleep 0.1; done";

const SYSTEMS: Readonly<Record<Defect, Partial<SystemPlan>>> = {
  // Anybody who holds the cache's key can put other contents under the name.
  digest: { extra: "head -c 16 /dev/urandom > $out/salt" },
  unsigned: {},
  foreign: {},
  dependency: {},
  tampered: {},
  down: {},
  slow: { extra: "head -c 300000 /dev/zero > $out/big" },
  full: { extra: `head -c ${BIG_BYTES} /dev/zero > $out/big` },
  gone: {
    switch: FORGETS,
    checks: [{ name: "app", kind: "exec", argv: ["false"], intervalSecs: 0.5 }],
  },
  hangs: { switch: "entry; activate; trap '' TERM; echo never done; while :; do sleep 0.1; done" },
};

/** Builds for each host what it will meet, and pushes it as it will meet it. */
async function spoiled() {
  const { lab } = fleet;
  const dependency = await lab.build({ version: "dependency" });
  const closures = new Map<string, ClosureHash>();
  for (const { name } of fleet.plan) {
    const plan = { version: "spoiled", name, ...(name in SYSTEMS ? SYSTEMS[name as Defect] : {}) };
    closures.set(name, await lab.build(name === "dependency" ? { ...plan, dependency } : plan));
  }
  const of = (name: string) => closures.get(name) ?? expect.fail(name);
  const digest = await lab.digest(of("digest"));
  const other = { version: "spoiled", name: "digest", ...SYSTEMS.digest };
  expect(await lab.build(other, "other-builder"), "one name, other contents").toBe(of("digest"));
  await lab.push(of("digest"), "trusted", "other-builder");
  await lab.push(of("unsigned"), "nobody");
  await lab.push(of("foreign"), "foreign");
  await lab.push(dependency, "nobody");
  for (const { name } of fleet.plan)
    if (!["digest", "unsigned", "foreign"].includes(name)) await lab.push(of(name));
  lab.tamper(of("tampered"));
  return { closures, dependency, digests: new Map([["digest", digest]]) };
}

/** While its closure comes, somebody else takes the room that there was for it. */
async function fillsUp(closure: ClosureHash): Promise<void> {
  const host = fleet.host("full");
  const argv = ["pgrep", "-f", `nix-store --realise /nix/store/${closure} .*--add-root`];
  const comes = async () => ((await host.run(argv)).stdout === "" ? null : true);
  await until({ what: "a closure on its way", timeoutSecs: 60, stop: never }, comes);
  const bytes = host.freeBytes("/nix/store") - LEFT_BYTES;
  await host.must("fallocate", "-l", String(bytes), BALLAST);
  fleet.lab.cache("serve", host);
}

/** Nobody has to wait for realiseTimeoutSecs, which is six hours elsewhere, to read that a cache is down. */
async function saysWhatItWaitsFor(): Promise<void> {
  const host = hostName("down");
  const told = async () => {
    const page = await fleet.client.call("getWhy", { params: { host } });
    return page.ok && page.value.waitsFor?.startsWith("no cache answers") === true ? true : null;
  };
  const what = "a host that says what it waits for, while it waits";
  await until({ what, timeoutSecs: REALISE_SECS, stop: never }, told);
}

/** What its switch forgot can't be had again either. */
async function forgets(): Promise<void> {
  const host = fleet.host("gone");
  const forgotten = async () => (host.readText("/srv/forgotten") === null ? null : true);
  await until({ what: "a switch that forgot", timeoutSecs: 60, stop: never }, forgotten);
  fleet.lab.cache("down", host);
  writeFileSync(join(host.root, "srv/go"), "");
}

const runsNow = async (): Promise<ReadonlyMap<string, string>> =>
  new Map(
    await Promise.all(fleet.plan.map(async ({ name }) => [name, await fleet.runs(name)] as const)),
  );

let before: ReadonlyMap<string, string>;
let made: Awaited<ReturnType<typeof spoiled>>;
let released: Released;
const path = (host: string): string => `/nix/store/${released.closures.get(host)}`;

test("each defect ends for its host alone: the rollout goes on past all of them, and is complete", async () => {
  before = await runsNow();
  made = await spoiled();
  fleet.lab.cache("down", fleet.host("down"));
  for (const name of ["slow", "full"]) fleet.lab.cache("slow", fleet.host(name));
  released = await fleet.publish("spoiled", made.closures, { digests: made.digests });
  await Promise.all([
    saysWhatItWaitsFor(),
    fillsUp(made.closures.get("full") ?? expect.fail("full")),
    forgets(),
  ]);
  for (const name of DEFECTS)
    await fleet.reached(name, released, ["Failed", "Reverted"], REALISE_SECS + 60);
  for (const name of ["well", "after"]) {
    await fleet.reached(name, released, ["Converged"]);
    expect(await fleet.runs(name)).toBe(released.closures.get(name));
  }
  const page = await fleet.client.call("getRollout", {
    params: { rolloutId: released.rolloutId },
  });
  // Its rollback is still owed, which nobody may call an end.
  expect(page.ok ? page.value.rollout : page).toMatchObject({ counts: { "rolling-back": 1 } });
}, 300_000);

const REALISE = "activation failed in phase realise";
const unsigned = (store: string): string => `unsigned: nobody has signed ${store}`;

/** What is on the screen of `nixwave why`, in this order. */
const TOLD: { readonly [D in Defect]: () => readonly string[] } = {
  digest: () => [REALISE, `wrong digest: ${path("digest")} holds other contents`],
  unsigned: () => [REALISE, unsigned(path("unsigned"))],
  foreign: () => [REALISE, `foreign signature: ${path("foreign")} is signed by foreign-1, which`],
  dependency: () => [REALISE, unsigned(`/nix/store/${made.dependency}`)],
  tampered: () => [REALISE, `tampered: what the cache holds of ${path("tampered")} is not`],
  down: () => [REALISE, `no cache answers for ${path("down")}`],
  slow: () => [REALISE, `slow: the caches have not sent all of ${path("slow")} within`],
  full: () => [REALISE, "/nix/store has ", " bytes free, and ", " needs "],
  gone: () => ["probe app: ", "target-gone: no cache answers for ", "the rollback failed "],
  hangs: () => ["hangs rolled back", "activation failed in phase timeout", "never done"],
};

test.each(DEFECTS)(
  "%s: the host runs what it ran, and `nixwave why` says what is wrong",
  async (name) => {
    // The one that can't go back: what it ran is gone.
    const kept = name === "gone" ? released.closures.get(name) : before.get(name);
    expect(await fleet.runs(name)).toBe(kept);
    const screen = await fleet.screen("why", name);
    const words = TOLD[name]().map(literally).join("[^]*");
    expect(screen).toMatch(new RegExp(words));
  },
);

const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

test("the disk was full while Nix wrote to it, and not only in the agent's reckoning", async () => {
  const { stdout } = await fleet
    .host("full")
    .run(["journalctl", "-o", "cat", "-u", "nixwave-agent"]);
  expect(stdout).toMatch(/there is no room left for .*(No space left on device|disk is full)/);
});

test("with caches that answer and room on the disk, the next release converges everywhere", async () => {
  for (const host of fleet.hosts.values()) fleet.lab.cache("serve", host);
  await fleet.host("full").must("rm", BALLAST);
  const mended = await fleet.release({ version: "mended" });
  await fleet.converged(mended, 120);
  expect(await runsNow()).toEqual(mended.closures);
}, 300_000);

test("a host killed for good by its release is lost, and counted, and the rollout halts", async () => {
  const running = await runsNow();
  const policy = { maxFailures: 0, lostSecs: LOST_SECS };
  const dies = "entry; activate; systemctl poweroff --force --force";
  const deadly = await fleet.release({ version: "deadly" }, { well: { switch: dies } }, { policy });
  await fleet.host("well").died();
  const { rolloutId } = deadly;
  const halted = await until(
    { what: "a halt", timeoutSecs: LOST_SECS + 60, stop: never },
    async () => {
      const page = await fleet.client.call("getRollout", { params: { rolloutId } });
      return page.ok && page.value.rollout.halted !== null ? page.value.rollout : null;
    },
  );
  expect(halted).toMatchObject({
    state: "Failed",
    counts: { lost: 1 },
    halted: { cause: "failures", host: "well", reason: "well is lost" },
  });
  expect(await fleet.state("well", rolloutId), "what it said last").toBe("Activating");
  expect(await fleet.screen("why", "well")).toMatch(
    /well is lost in .*: it was Activating when it fell silent[^]*the rollout is halted/,
  );
  expect(await fleet.screen("rollout", "show", rolloutId)).toMatch(/halted .*: well is lost/);
  expect(await fleet.state("after", rolloutId), "the second wave").toBe(null);
  expect(await fleet.runs("after")).toBe(running.get("after"));
  expect(await fleet.screen("why", "after")).toMatch(/rollout-halted/);
}, 300_000);
