import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EFFECT_PHASE, type Release } from "@nixwave/effects";
import { closure } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { CRASH_POINTS, type CrashPoint, parseCrashPlan } from "./crashPoint.ts";
import { World } from "./world/world.fixture.ts";

const NEW = closure("new");
/** Each passing of a commit is another input; of the others the first ones tell them apart. */
const NTHS = (point: CrashPoint): readonly number[] =>
  point === "before-commit" || point === "after-commit" ? [1, 2, 3, 4, 5, 6, 7, 8] : [1, 2];

function sourcesUnder(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => /(?<!\.test|\.fixture)\.ts$/.test(path) && !/test[A-Z]\w*\.ts$/.test(path))
    .map((path) => readFileSync(join(folder, path), "utf8"));
}

test("the list names exactly the places in the code", () => {
  const calls = sourcesUnder(import.meta.dirname).flatMap((text) =>
    [...text.matchAll(/crash\.at\(\s*["`]([^"`]+)["`]\s*\)/g)].map(([, point]) => point ?? ""),
  );
  // Perform effects are passed in one place each, whose name is the effect's kind.
  const kinds = Object.entries(EFFECT_PHASE)
    .filter(([kind, phase]) => phase === "perform" && !kind.startsWith("Remote"))
    .map(([kind]) => kind);
  const named = calls.flatMap((point) =>
    point.includes("${") ? kinds.map((kind) => point.replace(/\$\{[^}]*\}/, kind)) : [point],
  );
  expect([...new Set(named)].sort()).toEqual([...CRASH_POINTS].sort());
});

test("a plan names a point and which time it is passed", () => {
  expect(parseCrashPlan("after-commit:3")).toEqual({ point: "after-commit", nth: 3 });
  expect(parseCrashPlan("before-post")).toEqual({ point: "before-post", nth: 1 });
  expect(() => parseCrashPlan("somewhere")).toThrow(/expected one of before-commit/);
  expect(() => parseCrashPlan("after-commit:0")).toThrow(/from 1/);
});

interface End {
  readonly kind: string | undefined;
  readonly mirror: string | undefined;
  readonly system: unknown;
  readonly knownGood: unknown;
}

/** A release, killed once at the nth passing of a point and started again, until the host has settled and said so. */
async function endOf(healthy: boolean, crashAt: { point: CrashPoint; nth: number } | null) {
  const stateDir = mkdtempSync(join(tmpdir(), "nixwave-crash-"));
  const world = new World(stateDir);
  try {
    world.crashAt = crashAt;
    world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy });
    world.start();
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    const settled = (): boolean => {
      const kind = world.cp.record(release)?.kind;
      return kind === "Converged" || kind === "Reverted";
    };
    await world.passUntil(settled, 1500);
    await world.pass(90);
    const end: End = {
      kind: world.record(release)?.kind,
      mirror: world.cp.record(release)?.kind,
      system: world.machine.system,
      knownGood: world.journal.facts().knownGood,
    };
    // I4 and I6: equal records, and the (rollout, seq) of the journal are those of the log.
    expect(world.cp.record(release)).toEqual(world.record(release));
    expect(seqsOfLog(world)).toEqual(seqsOfJournal(world, release));
    expect(world.broken).toEqual([]);
    return { end, crashes: world.crashes, fired: world.machine.fired };
  } finally {
    await world.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

const seqsOfLog = (world: World): readonly number[] => world.cp.log.map(({ line }) => line.seq);

function seqsOfJournal(world: World, release: Release): readonly number[] {
  const last = world.record(release)?.lastSeq ?? 0;
  return Array.from({ length: last }, (_, index) => index + 1);
}

const never = new Set<CrashPoint>(CRASH_POINTS);

for (const healthy of [true, false])
  test(`killed anywhere, a ${healthy ? "good" : "bad"} release ends as without the kill (I14)`, {
    timeout: 120_000,
  }, async () => {
    const undisturbed = await endOf(healthy, null);
    expect(undisturbed.end.kind).toBe(healthy ? "Converged" : "Reverted");
    for (const point of CRASH_POINTS)
      for (const nth of NTHS(point)) {
        const { end, crashes } = await endOf(healthy, { point, nth });
        expect({ point, nth, ...end }).toEqual({ point, nth, ...undisturbed.end });
        if (crashes > 0) never.delete(point);
      }
  });

test("every crash point was passed by one of the runs", () => {
  expect([...never]).toEqual([]);
});
