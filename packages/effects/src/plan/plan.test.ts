import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Channel, HostName, RolloutId } from "../ids.ts";
import type { FreezeScope, Input } from "../rollout/input.ts";
import { addSecs, instant } from "../time.ts";
import { briefAnswer } from "./briefAnswer.ts";
import { type ControlPlane, channel, host, idOf, type Watcher } from "./controlPlane.fixture.ts";
import { explainHost } from "./explain.ts";
import { isInForce } from "./freezes.ts";
import { GATES } from "./gates.ts";
import { waveHolds } from "./holds.ts";
import { nextPlanAt, type Plan, plan, planAll } from "./plan.ts";
import { reloaded } from "./reload.fixture.ts";
import { meantWaits, toldWaits } from "./waits.fixture.ts";
import { DEEDS, EVERYONE, type Op, World } from "./world.fixture.ts";

// Random histories through the real reducers.

const anyHost = fc.constantFrom(...EVERYONE);
const as = <K extends string>(kind: K) => fc.constant(kind);
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      kind: as("release"),
      channel: fc.constantFrom("stable" as const, "lab" as const),
      shape: fc.nat({ max: 7 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: as("deed"), host: anyHost, deed: fc.constantFrom(...DEEDS) }),
  },
  { weight: 8, arbitrary: fc.record({ kind: as("well"), host: anyHost }) },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: as("round"),
      but: fc.constantFrom(...EVERYONE, "none"),
      secs: fc.constantFrom(1, 60, 900),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: as("handOut"), host: anyHost }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: as("heard"),
      host: anyHost,
      leaving: fc.boolean(),
      journal: fc.option(fc.constantFrom("a", "b", "c"), { freq: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: as("tick"), secs: fc.constantFrom(1, 125, 900, 1800, 3600) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: as("operator"),
      what: fc.nat({ max: 19 }),
      host: anyHost,
      secs: fc.option(fc.constantFrom(30, 600)),
    }),
  },
);
const history = fc
  .tuple(
    fc.constant<readonly Op[]>([
      { kind: "release", channel: "lab", shape: 1 },
      { kind: "release", channel: "stable", shape: 3 },
      ...EVERYONE.map((name): Op => ({ kind: "heard", host: name, leaving: false, journal: "a" })),
    ]),
    fc.array(op, { maxLength: 80, size: "max" }),
  )
  .map(([first, rest]) => [...first, ...rest]);

/** Found once: a-1 is away, and a frozen channel opens to its edge, which is asked after the host's own gates. */
const frozenThenEdge: readonly Op[] = [
  { kind: "release", channel: "lab", shape: 1 },
  { kind: "release", channel: "stable", shape: 3 },
  ...EVERYONE.map((name): Op => ({ kind: "heard", host: name, leaving: false, journal: "a" })),
  { kind: "operator", what: 18, host: "l-2", secs: null },
  { kind: "round", but: "a-1", secs: 900 },
  { kind: "operator", what: 13, host: "a-1", secs: 30 },
  { kind: "release", channel: "stable", shape: 1 },
  ...[900, 900, 900, 900, 1, 1].map((secs): Op => ({ kind: "round", but: "a-1", secs })),
  { kind: "tick", secs: 1800 },
  { kind: "operator", what: 7, host: "l-2", secs: null },
  { kind: "round", but: "a-2", secs: 1 },
  { kind: "operator", what: 3, host: "a-1", secs: null },
];

const drawn = ({ inputs, effects }: Plan) => ({ inputs, effects });

function assertSamePlan(plan: Plan, cp: ControlPlane): void {
  const full = planAll(cp.fleet, cp.now);
  expect(drawn(plan)).toEqual(drawn(full));
  const all = new Map(full.waiting.map((one) => [`${one.rolloutId} ${one.host}`, one]));
  for (const one of plan.waiting) expect(one).toEqual(all.get(`${one.rolloutId} ${one.host}`));
}

function assertSameCounts(cp: ControlPlane): void {
  const { index } = cp.fleet;
  const counted = cp.fleet.recount();
  for (const entry of index.rollouts.values()) {
    expect(index.counts.failures(entry)).toEqual(counted.failures(entry));
    for (const { index: wave } of entry.release?.release.waves ?? [])
      expect(index.counts.wave(entry, wave)).toEqual(counted.wave(entry, wave));
  }
  for (const budget of ["one", "two"])
    expect(cp.fleet.holders(budget)).toEqual([...counted.held(budget).keys()].toSorted());
}

/** Everything that holds is let go, then everyone is heard and goes on, often enough for every wave. */
const rounds = (count: number) =>
  Array.from({ length: count }, (): Op => ({ kind: "round", but: "none", secs: 60 }));
const calm: readonly Op[] = [
  { kind: "calm", secs: 7200 },
  ...rounds(3),
  { kind: "calm", secs: 0 },
  ...rounds(30),
];

/** RUNS=5000 for a long look. */
const RUNS = { numRuns: Number(process.env["RUNS"] ?? 100) };

/** I8, at the moment in which a dispatch is queued. */
function assertMayMove(name: HostName, cp: ControlPlane): void {
  const dispatch = cp.fleet.openDispatch(name);
  const entry = cp.fleet.index.rollouts.get(dispatch?.rolloutId ?? idOf(channel("stable"), "a"));
  const { rollout, release } = entry ?? {};
  const listed = release?.hosts.find((one) => one.host === name);
  const cursor = rollout?.cursor ?? 0;
  expect(["Active", "Completed"]).toContain(rollout?.kind);
  expect(listed?.wave).toBeLessThanOrEqual(cursor);
  expect(listed?.closure).toBe(dispatch?.targetClosure);
}

/** I9, at the same moment. */
function assertBudgetsKept(name: HostName, cp: ControlPlane): void {
  const dispatch = cp.fleet.openDispatch(name);
  const release = dispatch && cp.fleet.index.rollouts.get(dispatch.rolloutId)?.release;
  for (const { name: budget, maxInFlight } of release?.budgetsOf.get(name) ?? []) {
    const others = cp.fleet.holders(budget).filter((holder) => holder !== name).length;
    // Whoever came back into flight by itself may hold more than the limit; then nothing is added.
    expect(others < maxInFlight || heldBefore(cp, name, budget)).toBe(true);
  }
}

const heldBefore = (cp: ControlPlane, name: HostName, budget: string): boolean =>
  slotsBefore.get(cp)?.get(budget)?.includes(name) === true;
const slotsBefore = new WeakMap<ControlPlane, Map<string, readonly HostName[]>>();

/** I7 and I8, after each commit: nothing is left to be handed out that a gate holds. */
function assertNothingHeldIsOut(cp: ControlPlane): void {
  for (const name of EVERYONE.map(host)) {
    const dispatch = cp.fleet.openDispatch(name);
    if (dispatch === null) continue;
    const rollout = cp.fleet.rollout(dispatch.rolloutId);
    const on = rollout?.channel ?? channel("stable");
    const pause = rollout?.pause ?? null;
    const isPaused = pause !== null && (pause.until === null || pause.until > cp.now);
    const isFrozen = cp.fleet
      .freezes()
      .some((one) => isInForce(one, cp.now) && holds(one.scope, on, name));
    expect(cp.fleet.quarantinedSince(on, dispatch.targetClosure)).toBeNull();
    expect({ kind: rollout?.kind, isPaused, isFrozen }).toEqual({
      kind: expect.stringMatching(/^(Active|Completed)$/),
      isPaused: false,
      isFrozen: false,
    });
  }
}

function holds(scope: FreezeScope, on: Channel, name: HostName): boolean {
  switch (scope.kind) {
    case "all":
      return true;
    case "channel":
      return scope.channel === on;
    case "hosts":
      return scope.hosts.includes(name);
  }
}

function run(
  ops: readonly Op[],
  shuffle = false,
  watcher?: Watcher,
  each?: (cp: ControlPlane) => void,
): World {
  const world = new World(shuffle, watcher);
  for (const one of ops) {
    world.do(one);
    each?.(world.cp);
  }
  return world;
}

const ofRollout = (entry: { readonly rolloutId: RolloutId }, inputs: readonly Input[]) =>
  inputs.filter((input) => "rolloutId" in input && input.rolloutId === entry.rolloutId);

describe("over random histories", () => {
  test("the incremental plan is the full plan, and every count that is kept is the count made anew", () => {
    const watcher = { planned: assertSamePlan, queued: () => undefined };
    fc.assert(
      fc.property(history, (ops) => void run(ops, false, watcher, assertSameCounts)),
      RUNS,
    );
  });

  test("time alone never changes a plan before nextPlanAt", () => {
    fc.assert(
      fc.property(history, fc.double({ min: 0, max: 1, noNaN: true }), (ops, share) => {
        const { cp } = run(ops);
        const next = nextPlanAt(cp.fleet) ?? addSecs(cp.now, 86_400);
        const between = instant(Math.max(cp.now, Math.floor(cp.now + share * (next - 1 - cp.now))));
        expect(drawn(planAll(cp.fleet, between))).toEqual({ inputs: [], effects: [] });
      }),
      RUNS,
    );
  });

  test("a fleet loaded from its rows plans what the living one does, and looks at all it has to", () => {
    fc.assert(
      fc.property(history, fc.constantFrom(0, 60, 900, 3600), (ops, secs) => {
        const { cp } = run(ops);
        cp.now = addSecs(cp.now, secs);
        const again = reloaded(cp);
        const full = planAll(cp.fleet, cp.now);
        expect(planAll(again, cp.now).waiting).toEqual(full.waiting);
        expect(drawn(planAll(again, cp.now))).toEqual(drawn(full));
        expect(drawn(plan(again, cp.now))).toEqual(drawn(full));
      }),
      RUNS,
    );
  });

  test("I7, I8: never is a dispatch left to be handed out of a quarantined closure or a halted, paused, frozen or superseded rollout (hazards 16, 18, 29)", () => {
    fc.assert(
      fc.property(history, (ops) => void run(ops, false, undefined, assertNothingHeldIsOut)),
      RUNS,
    );
  });

  test("I8: never does a wave open before the ones before it are complete or advanced, and only WaveCompleted opens it (hazards 24, 31)", () => {
    fc.assert(
      fc.property(history, (ops) => {
        const planned = (next: Plan, cp: ControlPlane) => {
          for (const input of next.inputs) {
            if (input.kind !== "WaveCompleted") continue;
            const tally = cp.fleet.waves(input.rolloutId)[input.wave - 1];
            const advanced = cp.fleet.rollout(input.rolloutId)?.advanced ?? [];
            expect(tally?.complete === true || advanced.includes(input.wave)).toBe(true);
          }
        };
        const { cp } = run(ops, false, { planned, queued: assertMayMove });
        for (const entry of cp.fleet.index.rollouts.values()) {
          const waves = ofRollout(entry, cp.inputs).flatMap((input) =>
            input.kind === "WaveCompleted" ? [input.wave] : [],
          );
          expect(waves).toEqual(waves.map((_, at) => at + 1));
          expect(entry.rollout?.cursor ?? 1).toBe(waves.length + 1);
        }
      }),
      RUNS,
    );
  });

  test("a rollout with more failures than its policy bears is halted, and reads Reverted only while all of them are (hazards 29, 30)", () => {
    const isHalted = (cp: ControlPlane) => {
      for (const of of cp.fleet.channels()) {
        const rollout = cp.fleet.newestRollout(of);
        if (rollout === null) continue;
        const { failures, reverted, maxFailures } = cp.fleet.failures(rollout.rolloutId);
        if (rollout.kind === "Reverted" && rollout.cause === "failures")
          expect(reverted).toBe(failures);
        if (failures > maxFailures) expect(rollout.kind).toMatch(/^(Failed|Reverted)$/);
      }
    };
    fc.assert(
      fc.property(history, (ops) => void run(ops, false, undefined, isHalted)),
      RUNS,
    );
  });

  test("I9: never is a dispatch made that takes a budget over its limit, in one plan or across several (hazard 26)", () => {
    fc.assert(
      fc.property(history, (ops) => {
        const planned = (_: Plan, cp: ControlPlane) =>
          void slotsBefore.set(
            cp,
            new Map(["one", "two"].map((name) => [name, cp.fleet.holders(name)])),
          );
        run(ops, false, { planned, queued: assertBudgetsKept });
      }),
      RUNS,
    );
  });

  test("I10: explainHost answers for every host, known or not, and agrees with the plan on the gate: there is one decision (hazard 17)", () => {
    const names = [...EVERYONE, "nobody"].map(host);
    const agrees = (cp: ControlPlane) => {
      const waiting = planAll(cp.fleet, cp.now).waiting;
      for (const name of names) {
        const { answer, rolloutId } = explainHost(cp.fleet, name, cp.now);
        expect(answer.kind).toMatch(/^[a-z-]+$/);
        expect(briefly(answer.kind)).toContain(briefAnswer(cp.fleet, name).kind);
        expect(briefAnswer(cp.fleet, name).rolloutId).toBe(rolloutId);
        if (answer.kind !== "gate" || rolloutId === null) continue;
        const planned = waiting.find((one) => one.host === name && one.rolloutId === rolloutId);
        expect(answer.block).toEqual(planned?.block);
      }
    };
    fc.assert(
      fc.property(history, (ops) => void run(ops, false, undefined, agrees)),
      RUNS,
    );
  });

  /** The kinds that a brief answer may have for one of explainHost's. */
  const briefly = (kind: string): readonly string[] => {
    if (kind === "gate" || kind === "never-seen") return ["waits"];
    return kind === "queued" ? ["waits", "queued"] : [kind];
  };

  test("what hosts wait for is told as the full plan would tell it, and counted so without looking at them", () => {
    fc.assert(
      fc.property(
        history,
        (ops) =>
          void run(ops, false, undefined, (cp) => expect(toldWaits(cp)).toEqual(meantWaits(cp))),
      ),
      { ...RUNS, examples: [[frozenThenEdge]] },
    );
  });

  test("I13: the order of the host, budget and edge lists never changes a plan (hazard 27)", () => {
    fc.assert(
      fc.property(history, (ops) => {
        expect(run(ops, true).log).toEqual(run(ops).log);
      }),
      RUNS,
    );
  });

  test("I12: an attempt owed, a record's attempt and a rollout's cursor never move backwards", () => {
    fc.assert(
      fc.property(history, (ops) => {
        const highest = new Map<string, number>();
        run(ops, false, undefined, (cp) => {
          for (const name of EVERYONE.map(host))
            for (const { rolloutId, attempt } of cp.fleet.recordsOf(name)) {
              const before = highest.get(`${rolloutId} ${name}`) ?? 0;
              expect(attempt).toBeGreaterThanOrEqual(before);
              highest.set(`${rolloutId} ${name}`, attempt);
            }
        });
      }),
      RUNS,
    );
  });

  test("I14: once faults stop, every newest rollout is Completed, or what holds it is named, with its remedy", () => {
    fc.assert(
      fc.property(history, (ops) => {
        const { cp } = run([...ops, ...calm]);
        const { waiting } = planAll(cp.fleet, cp.now);
        for (const of of cp.fleet.channels()) {
          const rollout = cp.fleet.newestRollout(of);
          if (rollout === null || rollout.kind === "Completed") continue;
          // Halted after the clearance: a host failed for good since, or an operator cancelled it.
          if (rollout.kind !== "Active") {
            expect(
              cp.fleet.failures(rollout.rolloutId).failures > 0 ||
                ("cause" in rollout && rollout.cause === "cancelled"),
            ).toBe(true);
            continue;
          }
          const holds = waveHolds(cp.fleet, rollout.rolloutId, cp.now);
          const held =
            holds.find(({ complete, advanced }) => !complete && !advanced) ??
            holds.find(({ complete }) => !complete);
          // Under way would mean that a host was left without its next step.
          expect(held?.heldBy?.kind).toMatch(/^(gate|unproven|failed)$/);
          if (held?.heldBy?.kind !== "gate") continue;
          const { hosts } = held.heldBy;
          if (hosts > 0)
            expect(waiting.some((one) => one.rolloutId === rollout.rolloutId)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  test("the histories reach what they are to prove", () => {
    const seen = new Map<string, number>();
    const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
    const watcher: Watcher = {
      planned: (next) => {
        for (const { block } of next.waiting) count(block.gate);
      },
      queued: () => count("queued"),
    };
    for (const ops of fc.sample(history, { numRuns: 400, seed: 1 }))
      for (const input of run(ops, false, watcher).cp.inputs) count(input.kind);
    const expected = [
      ...GATES.map(({ name }) => name),
      "WaveCompleted",
      "RolloutCompleted",
      "SuccessorOpened",
      "DispatchCancelled",
      "HostSkipped",
      "HostReturned",
      "HostLost",
      "HostFound",
      "HostForgot",
      "OperatorCleared",
      "QuarantineLifted",
    ];
    expect(expected.filter((what) => !seen.has(what))).toEqual([]);
  });
});
