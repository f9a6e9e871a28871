import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EventKind, OutboundAgentEvent } from "../event.ts";
import { isAttempt, nextSeq, parseRolloutId, type RolloutId, type Seq } from "../ids.ts";
import { addSecs } from "../time.ts";
import { healthGaps, SYSTEM_STABLE } from "./health.ts";
import { stepLocal } from "./local.ts";
import {
  EVENTS,
  envelope,
  eventsFor,
  JOURNAL_B,
  RECORDS,
  START,
  seqOf,
} from "./records.fixture.ts";
import { stepRemote, stepRemotePast } from "./remote.ts";
import { HOST_STATES, type HostRollout, type HostState, isSettled } from "./state.ts";
import { consumeNumber, supersede, transition } from "./transition.ts";

/** A history of events with plausible and implausible fields, in any order; the table sorts out which are legal. */
function history(): fc.Arbitrary<readonly OutboundAgentEvent[]> {
  const anyEvent = fc.constantFrom(...EVENTS).chain((kind) =>
    fc
      .record({
        secs: fc.integer({ min: 0, max: 2000 }),
        attempt: fc.integer({ min: 1, max: 3 }),
        fail: fc.boolean(),
        stable: fc.boolean(),
      })
      .map((pick) => eventWith(kind, pick)),
  );
  // A story that usually gets somewhere, with strangers thrown in.
  const story: readonly EventKind[] = [
    "DispatchAck",
    "ActivationStarted",
    "ActivationCompleted",
    "ProbeTopologyDeclared",
    "ProbeResult",
    "ProbeResult",
    "Converged",
  ];
  const tale = fc
    .tuple(
      ...story.map((kind) =>
        fc
          .record({
            stable: fc.boolean(),
            fail: fc.constant(false),
            strange: fc.option(anyEvent, { freq: 4 }),
          })
          .map(({ stable, fail, strange }) => [
            eventWith(kind, { secs: 1200, attempt: 1, fail, stable }),
            ...(strange === null ? [] : [strange]),
          ]),
      ),
    )
    .map((parts) => parts.flat());
  return fc.oneof(fc.array(anyEvent, { maxLength: 40 }), tale);
}

interface Pick {
  readonly secs: number;
  readonly attempt: number;
  readonly fail: boolean;
  readonly stable: boolean;
}

function eventWith(kind: EventKind, { secs, attempt, fail, stable }: Pick): OutboundAgentEvent {
  const at = addSecs(START, secs);
  const event = eventsFor(RECORDS.Pending)[kind];
  if (event.kind === "DispatchAck" || event.kind === "DispatchReject") {
    return { ...event, attempt: isAttempt(attempt) ? attempt : event.attempt };
  }
  if (event.kind === "ProbeResult") {
    const probeName = stable ? SYSTEM_STABLE : event.probeName;
    return { ...event, status: fail ? "fail" : "pass", observedAt: at, probeName };
  }
  return event.kind === "Converged" ? { ...event, convergedAt: at } : event;
}

/** What each legal pair does when its event fits the record; every other pair is refused. Written by hand, beside the table. */
const LEGAL: { readonly [S in HostState]: { readonly [K in EventKind]?: "moved" | "stayed" } } = {
  Pending: { DispatchAck: "moved", DispatchReject: "stayed" },
  Activating: {
    DispatchAck: "moved",
    DispatchReject: "stayed",
    ActivationStarted: "stayed",
    ActivationCompleted: "moved",
    ActivationDeferred: "moved",
    ActivationFailed: "moved",
  },
  Deferred: {
    DispatchAck: "moved",
    DispatchReject: "stayed",
    ActivationCompleted: "moved",
    ActivationFailed: "moved",
  },
  Soaking: {
    DispatchAck: "moved",
    DispatchReject: "stayed",
    ProbeTopologyDeclared: "stayed",
    ProbeObservedFirst: "stayed",
    ProbeResult: "stayed",
    ProbeFailureFirst: "stayed",
    Failed: "moved",
    Converged: "moved",
  },
  Converged: { DispatchAck: "moved", DispatchReject: "stayed" },
  Failed: {
    DispatchAck: "moved",
    DispatchReject: "stayed",
    RollbackStarted: "stayed",
    RollbackComplete: "moved",
    RollbackFailed: "stayed",
  },
  Reverted: { DispatchAck: "moved", DispatchReject: "stayed" },
};

describe("the table of state × event, cell by cell", () => {
  for (const state of HOST_STATES) {
    for (const kind of EVENTS) {
      const expected = LEGAL[state][kind] ?? "refused";
      test(`${state} × ${kind}: ${expected}`, () => {
        const record = RECORDS[state];
        const { outcome, state: next } = transition(
          record,
          envelope(record, eventsFor(record)[kind]),
        );
        expect(outcome.kind).toBe(expected);
        expect(next.lastSeq).toBe(nextSeq(record.lastSeq));
        if (expected !== "moved") expect(next.kind).toBe(state);
        if (outcome.kind === "refused")
          expect(next).toEqual(consumeNumber(record, record.journalId, nextSeq(record.lastSeq)));
      });
    }
  }
});

const attemptOf = (number: number): HostRollout["attempt"] => {
  if (isAttempt(number)) return number;
  throw new Error(`${number} is no attempt`);
};

describe("an event that is legal in its state, and wrong all the same", () => {
  const refusal = (state: HostState, over: Partial<Record<string, unknown>>, kind: EventKind) => {
    const record = RECORDS[state];
    return transition(record, envelope(record, { ...eventsFor(record)[kind], ...over })).outcome;
  };
  test.each([
    ["Soaking", "DispatchAck", { attempt: 1 }, "wrong-attempt"],
    ["Converged", "DispatchAck", { attempt: 1 }, "wrong-attempt"],
    [
      "Pending",
      "DispatchAck",
      { rollbackTarget: RECORDS.Pending.targetClosure },
      "rollback-target-is-target",
    ],
    ["Soaking", "DispatchReject", { attempt: 1 }, "wrong-attempt"],
    [
      "Activating",
      "ActivationCompleted",
      { observedCurrentClosure: "00000000000000000000000000000000-other" },
      "wrong-closure",
    ],
    ["Soaking", "ProbeTopologyDeclared", { probes: [] }, "no-system-stable"],
    ["Soaking", "ProbeResult", { probeName: "unheard-of" }, "undeclared-probe"],
    ["Soaking", "ProbeResult", { mode: "observe" }, "wrong-mode"],
    ["Soaking", "Failed", { policyApplied: "halt" }, "wrong-policy"],
    ["Soaking", "Converged", { convergedAt: START }, "health-not-shown"],
    [
      "Soaking",
      "Converged",
      { currentClosure: "00000000000000000000000000000000-other" },
      "wrong-closure",
    ],
    [
      "Failed",
      "RollbackComplete",
      { revertedToClosure: "00000000000000000000000000000000-other" },
      "wrong-closure",
    ],
  ] as const)("%s × %s %o: %s", (state, kind, over, code) => {
    expect(refusal(state, over, kind)).toEqual({ kind: "refused", code });
  });

  test.each(["DispatchAck", "DispatchReject"] as const)(
    "Pending × %s of a later attempt: the record goes on from there, on both sides",
    (kind) => {
      const record = RECORDS.Pending;
      const later = { ...record, attempt: attemptOf(7) };
      const event = { ...eventsFor(record)[kind], attempt: attemptOf(7) };
      const here = transition(record, envelope(record, event));
      expect(here.outcome.kind).toBe(kind === "DispatchAck" ? "moved" : "stayed");
      expect(here.state).toEqual(transition(later, envelope(later, event)).state);
      const earlier = { ...event, attempt: attemptOf(6) };
      expect(transition(later, envelope(later, earlier)).outcome).toEqual({
        kind: "refused",
        code: "wrong-attempt",
      });
    },
  );

  test("an attempt later than the next one counts: the one between may have been told to a journal that is gone", () => {
    const record = RECORDS.Soaking;
    const event = { ...eventsFor(record).DispatchAck, attempt: attemptOf(9) };
    const { outcome, state } = transition(record, envelope(record, event));
    expect(outcome).toEqual({ kind: "moved", from: "Soaking", to: "Activating" });
    expect(state.attempt).toBe(9);
  });

  test("a fourth start of one attempt is refused: a switch must not take its host down for ever", () => {
    let record: HostRollout = RECORDS.Activating;
    const outcomes = [1, 2, 3].map(() => {
      const step = transition(record, envelope(record, eventsFor(record).ActivationStarted));
      record = step.state;
      return step.outcome.kind;
    });
    // RECORDS.Activating has been started once.
    expect(outcomes).toEqual(["stayed", "stayed", "refused"]);
  });

  test("a superseded record takes no event", () => {
    const record = supersede(RECORDS.Soaking, other);
    for (const kind of EVENTS) {
      expect(transition(record, envelope(record, eventsFor(record)[kind])).outcome).toEqual({
        kind: "refused",
        code: "superseded",
      });
    }
  });

  test("a settled record is not superseded", () => {
    for (const state of HOST_STATES.filter((name) => isSettled(RECORDS[name])))
      expect(supersede(RECORDS[state], other)).toBe(RECORDS[state]);
  });
});

describe("streams", () => {
  test("another journal begins at 1, with an answer to a dispatch, and with nothing else", () => {
    for (const kind of EVENTS) {
      const record = RECORDS.Soaking;
      const { outcome } = transition(record, {
        ...envelope(record, eventsFor(record)[kind]),
        journalId: JOURNAL_B,
        seq: first,
      });
      const answers = kind === "DispatchAck" || kind === "DispatchReject";
      expect(outcome.kind === "refused" && outcome.code === "wrong-journal").toBe(!answers);
    }
  });

  test("the reject of a dispatch that was queued again dates the Pending record by it, on both sides (I4)", () => {
    const mirror = RECORDS.Pending;
    const dispatchedAt = addSecs(mirror.dispatchedAt, 60);
    const soakDueAt = addSecs(mirror.soakDueAt, 60);
    const event = { ...eventsFor(mirror).DispatchReject, dispatchedAt, soakDueAt };
    const fresh = { ...mirror, dispatchedAt, soakDueAt };
    const rejected = transition(mirror, envelope(mirror, event)).state;
    expect(rejected).toEqual(transition(fresh, envelope(fresh, event)).state);
    expect(rejected).toMatchObject({ dispatchedAt, soakDueAt });
  });

  test("a reject under another journal makes the record Pending in the new stream", () => {
    const record = RECORDS.Converged;
    const { state } = transition(record, {
      ...envelope(record, eventsFor(record).DispatchReject),
      journalId: JOURNAL_B,
      seq: first,
    });
    expect(state).toMatchObject({
      kind: "Pending",
      journalId: JOURNAL_B,
      lastSeq: 1,
      lastReject: { count: 1 },
    });
  });

  test("never applies an event twice, nor one whose predecessor is missing (hazards 6 and 7)", () => {
    fc.assert(
      fc.property(history(), fc.integer({ min: 2, max: 5 }), (events, jump) => {
        let record: HostRollout = RECORDS.Pending;
        for (const event of events) {
          const sent = envelope(record, event);
          const ahead = { ...sent, seq: seqOf(record.lastSeq + jump) };
          expect(transition(record, ahead)).toEqual({
            outcome: { kind: "gap", expected: nextSeq(record.lastSeq) },
            state: record,
          });
          const once: HostRollout = transition(record, sent).state;
          const twice = transition(once, sent);
          expect(twice.outcome.kind).toBe("duplicate");
          expect(twice.state).toBe(once);
          record = once;
        }
      }),
    );
  });
});

describe("properties over random histories", () => {
  test("agent and CP hold equal records for the same events, whatever is sent again (I4)", () => {
    fc.assert(
      fc.property(history(), fc.infiniteStream(fc.boolean()), (events, again) => {
        let agent: HostRollout = RECORDS.Pending;
        let mirror: HostRollout = RECORDS.Pending;
        for (const event of events) {
          const sent = envelope(agent, event);
          const local = stepLocal(agent, sent, START);
          agent = local.state;
          if (local.outcome.kind === "refused") continue;
          for (const line of again.next().value === true ? [sent, sent] : [sent])
            mirror = stepRemote(mirror, line, START).state;
          expect(mirror).toEqual(agent);
        }
      }),
    );
  });

  test("what a stream had before a newer acknowledgement comes to the same record after it, and is never under way (I4, Superseding 1 and 3)", () => {
    fc.assert(
      fc.property(history(), fc.nat({ max: 8 }), (events, early) => {
        let agent: HostRollout = RECORDS.Pending;
        let mirror: HostRollout = RECORDS.Pending;
        for (const [index, event] of events.entries()) {
          const sent = envelope(agent, event);
          const local = stepLocal(agent, sent, START);
          agent = local.state;
          if (local.outcome.kind === "refused") continue;
          if (index === early) mirror = supersede(mirror, other);
          if (index < early) {
            mirror = stepRemote(mirror, sent, START).state;
            continue;
          }
          mirror = stepRemotePast(mirror, sent, START, other).state;
          expect(mirror).toEqual(supersede(agent, other));
          const again = stepRemotePast(mirror, sent, START, other);
          expect(again).toEqual({ outcome: { kind: "duplicate" }, state: mirror, effects: [] });
          expect(again.state).toBe(mirror);
        }
      }),
    );
  });

  test("whatever happens, state, events and effects are plain JSON", () => {
    fc.assert(
      fc.property(history(), (events) => {
        let record: HostRollout = RECORDS.Pending;
        for (const event of events) {
          const sent = envelope(record, event);
          const step = stepRemote(record, sent, START);
          const local = stepLocal(record, sent, START);
          for (const value of [step, local, sent])
            expect(JSON.parse(JSON.stringify(value))).toEqual(value);
          record = step.state;
        }
      }),
    );
  });

  test("Converged only with the target seen and every gap closed (I2, I3); Reverted only away from the target; attempt and seq never go back (I12)", () => {
    fc.assert(
      fc.property(history(), (events) => {
        let record: HostRollout = RECORDS.Pending;
        for (const event of events) {
          const before: HostRollout = record;
          record = transition(before, envelope(before, event)).state;
          expect(record.lastSeq).toBeGreaterThan(before.lastSeq);
          expect(record.attempt).toBeGreaterThanOrEqual(before.attempt);
          if (record.kind === "Converged") {
            expect(record.currentClosure).toBe(record.targetClosure);
            if (before.kind === "Soaking")
              expect(healthGaps(before, record.convergedAt)).toEqual([]);
          }
          if (record.kind === "Reverted") {
            expect(record.revertedTo).not.toBe(record.targetClosure);
            expect(record.revertedTo).toBe(record.currentClosure);
          }
        }
      }),
    );
  });

  test("an event that the agent's own table refuses is not emitted and spends no number", () => {
    const record = RECORDS.Converged;
    const { state, effects } = stepLocal(
      record,
      envelope(record, eventsFor(record).ActivationCompleted),
      addSecs(START, 1),
    );
    expect(state).toBe(record);
    expect(effects.map((effect) => effect.kind)).toEqual(["EmitMetric", "EmitLog"]);
  });
});

const other: RolloutId = (() => {
  const parsed = parseRolloutId(`stable@${"b".repeat(40)}`);
  if (!parsed.ok) throw new Error(parsed.error.expected);
  return parsed.value;
})();
const first: Seq = seqOf(1);
