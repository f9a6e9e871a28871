import { describe, expect, test } from "vitest";
import {
  EFFECT_PHASE,
  type Effect,
  type InPhase,
  inPhase,
  type LocalEffect,
  type RemoteEffect,
  type SharedEffect,
} from "./effect.ts";
import { stepLocal } from "./host/local.ts";
import { observe } from "./host/observe.ts";
import { EVENTS, envelope, eventsFor, RECORDS, START } from "./host/records.fixture.ts";
import { stepRemote } from "./host/remote.ts";
import { type Handlers, interpret } from "./interpret.ts";

/** Nothing here runs: these are proofs that the compiler refuses what must not be written. */
export function mustNotCompile(
  local: Handlers<LocalEffect | SharedEffect, null, void>,
  remote: Handlers<RemoteEffect | SharedEffect, null, void>,
  l: LocalEffect,
  r: RemoteEffect,
  all: Effect,
): void {
  interpret(local, l, null);
  interpret(remote, r, null);
  // @ts-expect-error the agent's interpreter can't be handed the CP's effects
  interpret(local, r, null);
  // @ts-expect-error nor the CP's the agent's
  interpret(remote, l, null);
  // @ts-expect-error nor either of them the whole union
  interpret(local, all, null);
  // @ts-expect-error a handler record without one of its kinds
  const partial: Handlers<InPhase<LocalEffect, "perform">, null, void> = {
    LocalFireSwitch: () => {},
    LocalFireRollbackTo: () => {},
  };
  type Committed = Handlers<InPhase<LocalEffect, "commit">, null, void>;
  // @ts-expect-error a stale kind
  const stale: Committed = { LocalEmitEvent: () => {}, LocalFireSwitch: () => {} };
  // @ts-expect-error stepLocal yields nothing remote
  const wrongSide: readonly (RemoteEffect | SharedEffect)[] = stepLocal(
    RECORDS.Pending,
    envelope(RECORDS.Pending, eventsFor(RECORDS.Pending).DispatchAck),
    START,
  ).effects;
  // @ts-expect-error stepRemote yields nothing local
  const otherSide: readonly (LocalEffect | SharedEffect)[] = stepRemote(
    RECORDS.Pending,
    envelope(RECORDS.Pending, eventsFor(RECORDS.Pending).DispatchAck),
    START,
  ).effects;
  void [partial, stale, wrongSide, otherSide];
}

/** Effects that no host event yields come from the planner; plan.test.ts proves those two. */
const OF_THE_PLANNER: ReadonlySet<string> = new Set([
  "RemoteQueueDispatch",
  "RemoteOpenRolloutRecord",
]);

describe("the eleven", () => {
  test("each is yielded by a pure function", () => {
    const yielded = new Set<string>();
    for (const record of Object.values(RECORDS)) {
      for (const kind of EVENTS) {
        const sent = envelope(record, eventsFor(record)[kind]);
        for (const step of [stepLocal(record, sent, START), stepRemote(record, sent, START)])
          for (const effect of step.effects) yielded.add(effect.kind);
      }
    }
    const missing = Object.keys(EFFECT_PHASE).filter(
      (kind) => !yielded.has(kind) && !OF_THE_PLANNER.has(kind),
    );
    expect(missing).toEqual([]);
    expect(Object.keys(EFFECT_PHASE)).toHaveLength(11);
  });

  test("the phase divides every union of effects in two", () => {
    const { effects } = stepLocal(
      RECORDS.Pending,
      envelope(RECORDS.Pending, eventsFor(RECORDS.Pending).DispatchAck),
      START,
    );
    const commit = effects.filter(inPhase("commit")).map((effect) => effect.kind);
    const perform = effects.filter(inPhase("perform")).map((effect) => effect.kind);
    expect(commit).toEqual(["LocalEmitEvent", "RecordTransition"]);
    expect(perform).toEqual(["LocalFireSwitch", "EmitMetric", "EmitLog"]);
  });

  test("interpret hands each effect to the handler of its kind", () => {
    const handlers: Handlers<InPhase<LocalEffect, "perform">, string, string> = {
      LocalFireSwitch: ({ target }, who) => `${who} switches to ${target}`,
      LocalFireRollbackTo: ({ closure }, who) => `${who} goes back to ${closure}`,
      LocalResetProbeCache: (_, who) => `${who} forgets`,
    };
    const seen = {
      bootId: RECORDS.Deferred.bootId,
      runningClosure: RECORDS.Soaking.targetClosure,
      profileClosure: null,
      bootClosure: null,
      unit: { kind: "none" },
      purpose: "switch",
      stderrTail: "",
    } as const;
    const [effect] = observe(RECORDS.Soaking, seen, START).effects.filter(
      inPhase<LocalEffect, "perform">("perform"),
    );
    expect(effect && interpret(handlers, effect, "web-1")).toBe("web-1 forgets");
  });
});
