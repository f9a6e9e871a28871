import { CP_CRASH_POINTS } from "@nixwave/cp";
import type { SeededRandom } from "@nixwave/testkit";
import { SEGMENT_READ } from "./retentionHour.ts";
import type { Fault, Scenario } from "./scenario.ts";

/** So small that minutes are what months are elsewhere. One limit or the other: a log is too old more often than too large. */
const KEPT: readonly NonNullable<Scenario["logKept"]>[] = [
  { secs: 5, bytes: 2 ** 31 },
  { secs: 30, bytes: 2 ** 31 },
  { secs: 90, bytes: 2 ** 31 },
  { secs: 3600, bytes: 4000 },
  { secs: 60, bytes: 30_000 },
];

type Day = Pick<Scenario, "calmAtMs" | "releases">;

/** The hours of a world's retention, and what happens to the control plane in the middle of one, as often as not. */
export function retainPlans(
  random: SeededRandom,
  day: Day,
): { readonly logKept: NonNullable<Scenario["logKept"]>; readonly faults: readonly Fault[] } {
  const logKept = random.pick(KEPT);
  const count = random.between(1, 4);
  const faults = Array.from({ length: count }, (_, index) =>
    hour(random.stream(`hour ${index}`), day),
  );
  return { logKept, faults: faults.flat() };
}

function hour(random: SeededRandom, { calmAtMs, releases }: Day): readonly Fault[] {
  const any = random.between(20_000, calmAtMs - 5000);
  // Only a rollout that two others have followed is ever pruned.
  const last = Math.max(...releases.map(({ atMs }) => atMs)) + random.between(10_000, 120_000);
  const atMs = random.chance(0.5) && last < calmAtMs ? last : any;
  const retains: Fault = { kind: "retains", atMs };
  if (random.chance(0.5)) return [retains];
  const other = during(random, atMs);
  // What was archived before a loss is beside what is archived after it.
  const againAtMs = other.atMs + random.between(10_000, 90_000);
  const again: readonly Fault[] =
    LOSSES.has(other.kind) && againAtMs < calmAtMs ? [{ kind: "retains", atMs: againAtMs }] : [];
  return [retains, other, ...again];
}

const LOSSES: ReadonlySet<Fault["kind"]> = new Set(["restored", "set-back", "wiped"]);

/** In the middle of it, or soon after, when the log begins later than what comes back. */
function during(random: SeededRandom, atMs: number): Fault {
  const downMs = random.between(200, 5000);
  const inMs = random.between(0, 130);
  const soonMs = random.between(0, 60_000);
  const passes = random.between(0, 3);
  const forMs = random.pick([40, 100, 60_000]);
  const kind = random.pick([
    "kill",
    "crash",
    "crash",
    "power-cut",
    "disk-full",
    "restored",
    "set-back",
    "wiped",
  ] as const);
  switch (kind) {
    case "kill":
      return { kind, who: "cp", atMs: atMs + inMs, downMs };
    case "crash": {
      const point = random.pick<string>([...CP_CRASH_POINTS, SEGMENT_READ, SEGMENT_READ]);
      const isSegment = point === SEGMENT_READ;
      return { kind, who: "cp", atMs, downMs, point, passes: isSegment ? passes * 20 : passes };
    }
    case "power-cut":
      return { kind, who: "cp", atMs, downMs, passes };
    case "disk-full":
      return { kind, who: "cp", atMs: atMs + inMs, forMs };
    case "restored":
    case "set-back":
      return { kind, atMs: atMs + soonMs, downMs, backupAtMs: random.between(3000, atMs) };
    case "wiped":
      return { kind, atMs: atMs + soonMs, downMs };
  }
}
