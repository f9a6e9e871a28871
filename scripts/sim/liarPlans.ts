import type { SeededRandom } from "@nixwave/testkit";
import { LIES, type LieName } from "./lies.ts";
import { MIRROR_ATTACKS } from "./mirrorAttack.ts";
import type { Fault, HostPlan, ReleasePlan } from "./scenario.ts";

/** One world in so many is signed: signatures and files are what it costs. */
export const SIGNED_EVERY = 50;
const FIRST_SIGNED = 25;
export const isSigned = (seed: number): boolean => seed % SIGNED_EVERY === FIRST_SIGNED;

/** The first seed of a signed world that is no smaller. */
export const signedFrom = (seed: number): number =>
  seed + ((FIRST_SIGNED - (seed % SIGNED_EVERY) + SIGNED_EVERY) % SIGNED_EVERY);

interface Day {
  readonly hosts: readonly HostPlan[];
  readonly releases: readonly ReleasePlan[];
  readonly calmAtMs: number;
}

const KINDS: readonly (readonly [Fault["kind"], number])[] = [
  ["lies", 3],
  ["mirror-attacks", 1],
];
const KIND_LIST = KINDS.flatMap(([kind, weight]) => Array.from({ length: weight }, () => kind));

const isLie = (name: string): name is LieName => Object.hasOwn(LIES, name);
const NAMES = Object.keys(LIES).filter(isLie);

/** Who lies and which mirror attacks, from when to when. */
export function liarPlans(random: SeededRandom, day: Day): readonly Fault[] {
  return Array.from({ length: random.between(1, 6) }, (_, index) =>
    plan(random.stream(`liar ${index}`), day),
  );
}

function plan(random: SeededRandom, { hosts, releases, calmAtMs }: Day): Fault {
  const { atMs: publishedAtMs } = random.pick(releases);
  const near = Math.max(1000, publishedAtMs + random.between(-20_000, 30_000));
  const any = random.between(1000, calmAtMs - 10_000);
  const atMs = Math.min(random.chance(0.7) ? near : any, calmAtMs - 5000);
  const forMs = random.pick([15_000, 60_000, 180_000]) + random.between(0, 30_000);
  const some = random.chance(0.5) ? hosts : random.some(hosts, random.between(1, 3));
  const told = some.map(({ name }) => name);
  if (random.pick(KIND_LIST) === "mirror-attacks") {
    const attack = random.pick(MIRROR_ATTACKS);
    const where = random.chance(0.3) ? "origin" : "agents";
    return { kind: "mirror-attacks", atMs, forMs, attack, where, hosts: told };
  }
  const share = random.pick([0.3, 0.7, 1]);
  return { kind: "lies", atMs, forMs, lie: random.pick(NAMES), hosts: told, share };
}
