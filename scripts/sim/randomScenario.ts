import { AGENT_CRASH_POINTS } from "@nixwave/agent";
import { CP_CRASH_POINTS } from "@nixwave/cp";
import { SeededRandom } from "@nixwave/testkit";
import { isSigned, liarPlans, turnOf } from "./liarPlans.ts";
import { type Behaviour, GOOD } from "./machine.ts";
import { retainPlans } from "./retainPlans.ts";
import {
  type Fault,
  type HostPlan,
  OPERATOR_ACTIONS,
  type OperatorAction,
  type ReleasePlan,
  type Scenario,
} from "./scenario.ts";

const MINUTE = 60_000;

/** A bad day, made from its seed. Each purpose draws from a stream of its own. */
export function randomScenario(seed: number): Scenario {
  const random = new SeededRandom(seed, "scenario");
  const hosts = hostPlans(random.stream("hosts"));
  const calmAtMs = random.between(180, 480) * 1000;
  const releases = releasePlans(random.stream("releases"), hosts, calmAtMs);
  const inFiles = seed % 10 === 0;
  const faults = faultPlans(random.stream("faults"), { hosts, calmAtMs, inFiles, releases });
  const lies = isSigned(seed)
    ? liarPlans(random.stream("liar"), { turn: turnOf(seed), hosts, calmAtMs, releases })
    : [];
  const retains = inFiles ? retainPlans(random.stream("retention"), { calmAtMs, releases }) : null;
  return {
    seed,
    hosts,
    calmAtMs,
    pollWaitSecs: random.pick([60, 120, 120]),
    inFiles,
    isSigned: isSigned(seed),
    releases,
    ...(retains === null ? {} : { logKept: retains.logKept }),
    faults: [...faults, ...(retains?.faults ?? []), ...lies].sort((a, b) => a.atMs - b.atMs),
  };
}

/** 3 to 50, median 8. */
function hostCount(random: SeededRandom): number {
  const roll = random.unit();
  if (roll < 0.5) return random.between(3, 8);
  if (roll < 0.95) return random.between(8, 12);
  return random.between(13, 50);
}

function hostPlans(random: SeededRandom): readonly HostPlan[] {
  const twoChannels = random.chance(0.3);
  const waves = random.between(1, 3);
  return Array.from({ length: hostCount(random) }, (_, index) => ({
    name: `h-${index + 1}`,
    channel: twoChannels && index % 3 === 2 ? "edge" : "stable",
    // Every wave has a host in each channel: their first ones, in turn.
    wave: 1 + (Math.floor(index / (twoChannels ? 3 : 1)) % waves),
    startsAtMs: random.between(0, 8000),
    wallOffMs: random.chance(0.2) ? random.between(-600_000, 600_000) : 0,
    ...(random.chance(0.15) ? { rollbacks: badRollbacks(random) } : {}),
    ...slowness(random.stream(`slowness ${index}`)),
  }));
}

/** Where nothing takes any time, what was seen before a probe had reported is never seen. */
const slowness = (random: SeededRandom): Pick<HostPlan, "answersAfterMs"> =>
  random.chance(0.3) ? { answersAfterMs: random.between(1, 40) } : {};

const badRollbacks = (random: SeededRandom): NonNullable<HostPlan["rollbacks"]> => ({
  end: random.chance(0.5) ? "exits-1" : "hangs",
  times: random.pick([1, 1, 2, 100]),
});

function releasePlans(
  random: SeededRandom,
  hosts: readonly HostPlan[],
  calmAtMs: number,
): readonly ReleasePlan[] {
  const channels = [...new Set(hosts.map(({ channel }) => channel))];
  return channels.flatMap((channel) => {
    const members = hosts.filter((host) => host.channel === channel);
    const count = random.pick([1, 1, 2, 2, 3]);
    return Array.from({ length: count }, (_, index): ReleasePlan => {
      const after = index === 0 ? 0 : Math.floor((calmAtMs * index) / count);
      const isOther = channel !== "stable";
      return {
        channel,
        version: `v${index + 1}`,
        atMs: after + random.between(1000, 30_000),
        soakSecs: random.pick([0, 10, 20, 20, 40]),
        waves: Math.max(...members.map(({ wave }) => wave)),
        policy: {
          onHealthFailure: random.chance(0.8) ? "rollback-and-halt" : "halt",
          healthFailureThresholdSecs: random.pick([15, 30]),
          activationTimeoutSecs: 60,
          realiseTimeoutSecs: 120,
          rollbackTimeoutSecs: 60,
          probeReportSecs: random.pick([20, 60]),
          lostSecs: 150,
          offlineGraceSecs: 200,
          maxFailures: random.pick([0, 0, 1, 2]),
          deferredCounts: random.chance(0.5) ? "waiting" : "done",
        },
        budgets: budgetsOf(random, members),
        edges: edgesOf(random, members),
        after: isOther && random.chance(0.5) ? ["stable"] : [],
        behaviours: behavioursOf(random, members, random.stream(`apps of ${channel} ${index}`)),
        closures: closuresOf(random, members, index),
      };
    });
  });
}

function budgetsOf(random: SeededRandom, members: readonly HostPlan[]): ReleasePlan["budgets"] {
  return Array.from({ length: random.pick([0, 1, 1, 2]) }, () => ({
    hosts: random.some(members, random.between(2, members.length)).map(({ name }) => name),
    max: random.between(1, 3),
  }));
}

/** Only from an earlier host to a later one that is not in an earlier wave: a DAG that a declaration would take. */
function edgesOf(random: SeededRandom, members: readonly HostPlan[]): ReleasePlan["edges"] {
  if (!random.chance(0.25)) return [];
  const [gates, gated] = random.some(members, 2);
  if (gates === undefined || gated === undefined) return [];
  const inOrder = gates.wave <= gated.wave ? [gates, gated] : [gated, gates];
  return [{ gates: inOrder[0]?.name ?? "", gated: inOrder[1]?.name ?? "" }];
}

/** `apps` has a stream of its own, as what came later: the other draws of a seed are what they were. */
function behavioursOf(
  random: SeededRandom,
  members: readonly HostPlan[],
  apps: SeededRandom,
): Readonly<Record<string, Behaviour>> {
  const roll = random.unit();
  const share = roll < 0.55 ? 0.04 : roll < 0.75 ? 0.9 : 0.3;
  const of: Record<string, Behaviour> = {};
  for (const { name } of members)
    of[name] = random.chance(share)
      ? oddBehaviour(random)
      : {
          ...GOOD,
          switchSecs: random.between(2, 20),
          realiseSecs: random.between(0, 10),
          answersAfterSecs: apps.chance(0.15) ? apps.between(1, 4) : 0,
        };
  return of;
}

/** What people release: one image for many machines, or once more what a machine runs already. */
function closuresOf(
  random: SeededRandom,
  members: readonly HostPlan[],
  index: number,
): NonNullable<ReleasePlan["closures"]> {
  const isShared = random.chance(0.2);
  const isRepeated = index > 0 && random.chance(0.3);
  const of: Record<string, string> = {};
  for (const { name } of members) {
    if (isShared && random.chance(0.6)) of[name] = `shared-v${index + 1}`;
    else if (isRepeated && random.chance(0.5)) of[name] = `${name}-v${index}`;
  }
  return of;
}

function oddBehaviour(random: SeededRandom): Behaviour {
  const odd: readonly Partial<Behaviour>[] = [
    { exitCode: 1 },
    { exitCode: 4 },
    { exitCode: 100 },
    { needsBoot: true },
    { hangs: "before-flip" },
    { hangs: "after-flip" },
    { healthyAfterSecs: null },
    { healthyAfterSecs: null },
    { healthyAfterSecs: 20 },
    { illAtSecs: 15 },
    { declaresProbes: false },
    { answersAfterSecs: 3 },
    { answersAfterSecs: 8 },
    { switchSecs: 45 },
    { realiseSecs: 80 },
    { realiseSecs: 200 },
  ];
  return { ...GOOD, ...random.pick(odd) };
}

function faultPlans(
  random: SeededRandom,
  { inFiles, ...day }: Pick<Scenario, "hosts" | "calmAtMs" | "inFiles" | "releases">,
): readonly Fault[] {
  const count = random.between(1, 10);
  const kinds = inFiles ? [...KIND_LIST, ...CUTS] : KIND_LIST;
  return Array.from({ length: count }, (_, index) =>
    fault(random.stream(`fault ${index}`), kinds, day),
  ).sort((a, b) => a.atMs - b.atMs);
}

/** Lies and attacks are drawn for themselves, in signed worlds only; retention likewise, in worlds on files. */
type Kind = Exclude<Fault["kind"], "lies" | "mirror-attacks" | "retains">;

const KINDS: readonly (readonly [Kind, number])[] = [
  ["crash", 9],
  ["kill", 4],
  ["weather", 5],
  ["operator", 6],
  ["jump", 2],
  ["reboot", 3],
  ["leaves", 2],
  ["away", 3],
  ["dies", 1],
  ["forgets", 3],
  ["cloned", 2],
  ["revoked", 1],
  ["disk-full", 3],
  ["cache-down", 2],
  ["wiped", 1],
  ["restored", 1],
  ["set-back", 1],
];
const ACTIONS: readonly OperatorAction[] = [
  ...OPERATOR_ACTIONS,
  "pause",
  "pause",
  "retry",
  "retry",
];
const KIND_LIST = KINDS.flatMap(([kind, weight]) => Array.from({ length: weight }, () => kind));

/** Only files can be torn, so a world of files has many of these. */
const CUTS: readonly Kind[] = Array.from({ length: 20 }, () => "power-cut" as const);

/** What hurts only while hosts move strikes near a release as often as not. */
const NEAR: ReadonlySet<Fault["kind"]> = new Set([
  "operator",
  "forgets",
  "cloned",
  "kill",
  "power-cut",
  "leaves",
  "revoked",
  "dies",
]);

function instantOf(
  random: SeededRandom,
  kind: Fault["kind"],
  { calmAtMs, releases }: Pick<Scenario, "calmAtMs" | "releases">,
): number {
  const any = random.between(5000, calmAtMs - 1000);
  const release = random.pick(releases);
  const near = release.atMs + random.between(1000, 90_000);
  return NEAR.has(kind) && random.chance(0.5) && near < calmAtMs ? near : any;
}

/** A clock that jumps hurts who soaks. */
function jumpAt(
  random: SeededRandom,
  any: number,
  { calmAtMs, releases }: Pick<Scenario, "calmAtMs" | "releases">,
): number {
  if (random.chance(0.4)) return any;
  const near = random.pick(releases).atMs + random.between(5000, 60_000);
  return near < calmAtMs ? near : any;
}

function fault(
  random: SeededRandom,
  kinds: readonly Kind[],
  { hosts, calmAtMs, releases }: Pick<Scenario, "hosts" | "calmAtMs" | "releases">,
): Fault {
  const kind = random.pick(kinds);
  const atMs = instantOf(random, kind, { calmAtMs, releases });
  const { name: host } = random.pick(hosts);
  const forMs = random.between(5000, 4 * MINUTE);
  const downMs = random.chance(0.7) ? random.between(200, 5000) : random.between(5000, 3 * MINUTE);
  const who = random.chance(0.4) ? "cp" : host;
  switch (kind) {
    case "crash":
      return crash(random, { atMs, who, downMs });
    case "kill":
      return { kind, atMs, who, downMs };
    case "power-cut":
      return { kind, atMs, who, downMs, passes: random.between(0, 15) };
    case "weather":
      return weather(random, { atMs, forMs, hosts });
    case "operator": {
      const { channel } = random.pick(hosts);
      const action = random.pick(ACTIONS);
      const until = random.chance(0.4) ? forMs : null;
      const freezes = random.stream("freezes").pick([null, null, "channel", "all"] as const);
      const wide = action === "freeze" && freezes !== null ? { freezes } : {};
      return { kind, atMs, host, channel, action, forMs: until, ...wide };
    }
    case "jump":
      return {
        kind,
        atMs: jumpAt(random.stream("instant"), atMs, { calmAtMs, releases }),
        who,
        byMs: random.between(-MINUTE * 30, MINUTE * 30),
      };
    case "reboot":
      return { kind, atMs, host, downMs: downMs + 10_000, noClock: random.chance(0.2) };
    case "leaves":
      return { kind, atMs, host, how: random.pick(["reboot", "off", "sleep"]), forMs };
    case "revoked":
      return { kind, atMs, host, forMs: random.chance(0.7) ? forMs : null };
    case "away":
    case "cloned":
    case "cache-down":
      return { kind, atMs, host, forMs };
    case "dies":
    case "forgets":
      return { kind, atMs, host };
    case "disk-full":
      return { kind, atMs, who, forMs };
    case "wiped":
      return { kind, atMs, downMs };
    case "restored":
    case "set-back":
      return { kind, atMs, downMs, backupAtMs: random.between(3000, atMs) };
  }
}

function crash(
  random: SeededRandom,
  { atMs, who, downMs }: { readonly atMs: number; readonly who: string; readonly downMs: number },
): Fault {
  const isCp = who === "cp";
  const point = random.pick<string>(isCp ? CP_CRASH_POINTS : AGENT_CRASH_POINTS);
  const isOften = isCp || point.endsWith("commit");
  return { kind: "crash", atMs, who, point, passes: isOften ? random.between(0, 20) : 0, downMs };
}

function weather(
  random: SeededRandom,
  {
    atMs,
    forMs,
    hosts,
  }: { readonly atMs: number; readonly forMs: number; readonly hosts: readonly HostPlan[] },
): Fault {
  const all = random.chance(0.4);
  const names = (all ? hosts : random.some(hosts, random.between(1, 3))).map(({ name }) => name);
  const bad = (): number => (random.chance(0.5) ? random.unit() * 0.4 : 0);
  return {
    kind: "weather",
    atMs,
    forMs,
    hosts: names,
    weather: {
      cut: random.chance(0.35),
      delayMsMax: random.pick([20, 500, 8000]),
      loss: bad(),
      duplicate: bad(),
      halfOpen: bad(),
      reset: bad(),
    },
  };
}
