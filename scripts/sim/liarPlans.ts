import type { SeededRandom } from "@nixwave/testkit";
import { LIES, type LieName } from "./lies.ts";
import { MIRROR_ATTACKS, type MirrorAttackName } from "./mirrorAttack.ts";
import type { Fault, HostPlan, ReleasePlan } from "./scenario.ts";

/** One world in so many is signed: signatures and files are what it costs. */
export const SIGNED_EVERY = 50;
const FIRST_SIGNED = 25;
export const isSigned = (seed: number): boolean => seed % SIGNED_EVERY === FIRST_SIGNED;

/** The first seed of a signed world that is no smaller. */
export const signedFrom = (seed: number): number =>
  seed + ((FIRST_SIGNED - (seed % SIGNED_EVERY) + SIGNED_EVERY) % SIGNED_EVERY);

interface Day {
  /** Which of the signed worlds it is. */
  readonly turn: number;
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

type Struck =
  | { readonly kind: "lies"; readonly lie: LieName }
  | {
      readonly kind: "mirror-attacks";
      readonly attack: MirrorAttackName;
      readonly where: "origin" | "agents";
    };

/** Everything that a signed world can have done to it. By chance alone some of it would be done in a few worlds of ten thousand. */
export const STRUCK: readonly Struck[] = [
  ...NAMES.map((lie) => ({ kind: "lies" as const, lie })),
  ...MIRROR_ATTACKS.flatMap((attack) =>
    (["agents", "origin"] as const).map((where) => ({
      kind: "mirror-attacks" as const,
      attack,
      where,
    })),
  ),
];

/** Which of the signed worlds has this seed. */
export const turnOf = (seed: number): number => Math.floor(seed / SIGNED_EVERY);

/** Who lies and which mirror attacks, from when to when: the first of them in turn, the others by chance. */
export function liarPlans(random: SeededRandom, day: Day): readonly Fault[] {
  return Array.from({ length: random.between(1, 6) }, (_, index) => {
    const drawn = plan(random.stream(`liar ${index}`), day);
    return index === 0 ? inTurn(drawn, random.stream("in turn"), day.turn) : drawn;
  });
}

/** Against the same hosts at the same time. */
function inTurn({ atMs, forMs, hosts }: Planned, random: SeededRandom, turn: number): Fault {
  const struck = STRUCK[turn % STRUCK.length];
  if (struck === undefined) throw new Error("there is nothing to do to a signed world");
  const when = { atMs, forMs, hosts };
  return struck.kind === "lies"
    ? { ...struck, ...when, share: shareOf(random) }
    : { ...struck, ...when };
}

type Planned = Extract<Fault, { readonly kind: Struck["kind"] }>;

const shareOf = (random: SeededRandom): number => random.pick([0.3, 0.7, 1]);

function plan(random: SeededRandom, { hosts, releases, calmAtMs }: Day): Planned {
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
  const share = shareOf(random);
  return { kind: "lies", atMs, forMs, lie: random.pick(NAMES), hosts: told, share };
}
