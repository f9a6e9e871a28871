import { describe, expect, test } from "vitest";
import { LIES, type LieName } from "./lies.ts";
import { MIRROR_ATTACKS, type MirrorAttackName } from "./mirrorAttack.ts";
import { randomScenario } from "./randomScenario.ts";
import { runWorld } from "./run.ts";
import type { Fault, ReleasePlan, Scenario } from "./scenario.ts";

const SECOND = 1000;
const NAMES = ["h-1", "h-2", "h-3"];

const release = (version: string, atSecs: number): ReleasePlan => ({
  channel: "stable",
  version,
  atMs: atSecs * SECOND,
  soakSecs: 40,
  waves: 2,
  policy: { healthFailureThresholdSecs: 15, lostSecs: 400, offlineGraceSecs: 400 },
  budgets: [],
  edges: [],
  after: [],
  behaviours: {},
});

/** Two waves, two releases, and somebody who begins before the second of them. */
const signed = (faults: readonly Fault[], over: Partial<Scenario> = {}): Scenario => ({
  seed: 1,
  hosts: NAMES.map((name, index) => ({
    name,
    channel: "stable",
    wave: 1 + (index % 2),
    startsAtMs: index * SECOND,
    wallOffMs: 0,
  })),
  releases: [release("v1", 10), release("v2", 120)],
  faults,
  calmAtMs: 400 * SECOND,
  pollWaitSecs: 60,
  inFiles: false,
  isSigned: true,
  ...over,
});

const lie = (
  name: LieName,
  over: Partial<Extract<Fault, { readonly kind: "lies" }>> = {},
): Fault => ({
  kind: "lies",
  lie: name,
  atMs: 100 * SECOND,
  forMs: 100 * SECOND,
  hosts: NAMES,
  share: 1,
  ...over,
});

const attack = (
  name: MirrorAttackName,
  where: "origin" | "agents",
  over: { readonly atMs?: number } = {},
): Fault => ({
  kind: "mirror-attacks",
  attack: name,
  where,
  // The control plane reads what is published with its next look, the agents with its dispatch.
  atMs: (where === "origin" ? 115 : 121) * SECOND,
  forMs: 90 * SECOND,
  hosts: NAMES,
  ...over,
});

async function endOf(scenario: Scenario) {
  const { failure, lied } = await runWorld(scenario, { isTold: false });
  expect(failure).toBeNull();
  if (lied === null) throw new Error("the world was to be signed");
  return lied;
}

describe("a lie is told, nothing comes of it that was not signed, and when it is over all is well", () => {
  const isLie = (name: string): name is LieName => Object.hasOwn(LIES, name);
  test.each(Object.keys(LIES).filter(isLie))("%s", async (name) => {
    const { told, refused } = await endOf(
      name === "an older release" ? FRESH : signed([lie(name)]),
    );
    expect(told).toBeGreaterThan(0);
    if (REFUSED.has(name)) expect(refused).toBeGreaterThan(0);
  });
});

/** A host that has acknowledged the older one drops it; one that has heard of neither is refused it by its name. */
const FRESH = signed([lie("an older release", { atMs: 5 * SECOND })], {
  releases: [release("v1", 6), release("v2", 8)],
});

/** What names something else than what was signed for this host. */
const REFUSED: ReadonlySet<LieName> = new Set<LieName>([
  "another host's closure",
  "a closure that nobody signed",
  "an older release",
  "a release that nobody signed",
  "another rollout",
  "another ref",
  "another channel",
]);

describe("an attack of a mirror is named in the log, and when it is over all is well", () => {
  const cases = MIRROR_ATTACKS.flatMap((name) =>
    (["agents", "origin"] as const).map((where) => [name, where] as const),
  );
  test.each(cases)("%s, on the way to the %s", async (name, where) => {
    const faults = name === "future-dated" ? handedOut(name, where) : [attack(name, where)];
    const { codes } = await endOf(signed(faults));
    const code = CODES[name];
    if (code !== null) expect(codes).toContain(code);
  });
});

/** A release that the channel's own keys have signed is looked at by who reads what is current, or is handed it. */
const handedOut = (name: MirrorAttackName, where: "origin" | "agents"): readonly Fault[] => [
  attack(name, where, { atMs: 115 * SECOND }),
  lie("a release that nobody signed", { atMs: 115 * SECOND }),
];

/** Null: what the thief of those keys serves is valid, and it is the owner's new keys that end it. */
const CODES: Readonly<Record<MirrorAttackName, string | null>> = {
  rollback: "rollback",
  freeze: "freeze-expired",
  "mix-and-match": "mix-and-match",
  "fast-forward": null,
  "endless-data": "endless-data",
  "wrong-length": "wrong-length-or-hash",
  "wrong-hash": "wrong-length-or-hash",
  "foreign-signature": "threshold-not-met",
  "malicious-mirror": "threshold-not-met",
  "own-root": "threshold-not-met",
  "one-of-two": "threshold-not-met",
  "wrong-channel": "wrong-channel",
  "unknown-role": "unknown-role",
  "future-dated": "future-dated",
};

test.for([25, 75, 125])("a signed world is bit for bit the same again: seed %i", async (seed) => {
  const one = await runWorld(randomScenario(seed), { isTold: false });
  const again = await runWorld(randomScenario(seed), { isTold: true });
  expect(one.lied).not.toBeNull();
  expect(again.digest).toBe(one.digest);
});
