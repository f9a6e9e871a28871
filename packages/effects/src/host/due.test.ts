import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OutboundAgentEvent } from "../event.ts";
import { addSecs, type Instant, instant } from "../time.ts";
import { due, nextDueAt } from "./due.ts";
import { SYSTEM_STABLE } from "./health.ts";
import { after, eventsFor, HTTP, POLICY, RECORDS, START } from "./records.fixture.ts";
import type { HostRollout } from "./state.ts";
import { supersede } from "./transition.ts";

const run = { startedAt: START };
const e = eventsFor(RECORDS.Soaking);
const result = (
  probeName: typeof HTTP,
  status: "pass" | "fail",
  secs: number,
): OutboundAgentEvent => ({
  ...e.ProbeResult,
  probeName,
  status,
  observedAt: addSecs(START, secs),
});
const declared = after(RECORDS.Activating, e.ActivationCompleted, e.ProbeTopologyDeclared);
const at = (secs: number): Instant => addSecs(START, secs);
const word = (state: HostRollout, now: Instant, agent = run): string => {
  const what = due(state, agent, now);
  if (what === null) return "nothing";
  return what.kind === "Report"
    ? `${what.event.kind} ${what.event.failingProbes.join(",")}`
    : what.kind === "StopUnit"
      ? `StopUnit ${what.purpose}`
      : what.kind;
};

/** Both sides of each boundary (hazard 66): the last millisecond at which nothing is due, and the first at which it is. */
describe("due, at its boundaries", () => {
  const failing = after(declared, result(SYSTEM_STABLE, "pass", 2), result(HTTP, "fail", 5));
  const healed = after(
    failing,
    result(HTTP, "pass", 30),
    result(SYSTEM_STABLE, "pass", 560),
    result(HTTP, "pass", 560),
  );
  const relapsed = after(failing, result(HTTP, "pass", 1150), result(SYSTEM_STABLE, "pass", 1150));
  test.each<readonly [string, HostRollout, Instant, string]>([
    ["realising", fresh(), at(POLICY.realiseTimeoutSecs), "Observe"],
    ["a switch", RECORDS.Activating, at(POLICY.activationTimeoutSecs), "StopUnit switch"],
    [
      "no topology",
      after(RECORDS.Activating, e.ActivationCompleted),
      at(POLICY.healthFailureThresholdSecs),
      "Failed probe-topology",
    ],
    ["silence since the declaration", declared, at(1 + 60 + 60), `Failed ${SYSTEM_STABLE},${HTTP}`],
    ["a sustained failure", failing, at(5 + 60), `Failed ${HTTP}`],
    ["the soak's end, proven", healed, at(600), "Observe"],
    ["a late recovery must last as long as a failure would", relapsed, at(1150 + 60), "Observe"],
    [
      "a rollback that was started",
      RECORDS.Failed,
      at(91 + POLICY.rollbackTimeoutSecs),
      "StopUnit rollback",
    ],
    ["a rollback that was not", after(RECORDS.Soaking, e.Failed), at(90), "Observe"],
    [
      "a rollback in vain",
      after(RECORDS.Failed, eventsFor(RECORDS.Failed).RollbackFailed),
      at(99 + 60),
      "Observe",
    ],
  ])("%s", (_, state, when, expected) => {
    expect(word(state, instant(when - 1))).toBe("nothing");
    expect(word(state, when)).toBe(expected);
    expect(nextDueAt(state, run)).toBe(when);
  });

  test("evidence from before this start of the agent waits for the first declaration, one threshold at most", () => {
    const started = { startedAt: at(5000) };
    expect(word(failing, instant(at(5060) - 1), started)).toBe("nothing");
    expect(word(failing, at(5060), started)).toBe(`Failed ${SYSTEM_STABLE},${HTTP}`);
    expect(nextDueAt(failing, started)).toBe(at(5060));
  });

  test("a superseded record has no timer, and neither has a settled one", () => {
    const never = [
      RECORDS.Pending,
      RECORDS.Deferred,
      RECORDS.Converged,
      RECORDS.Reverted,
      supersede(failing, failing.rolloutId),
    ];
    for (const state of never) {
      expect(nextDueAt(state, run)).toBeNull();
      expect(word(state, at(1e9))).toBe("nothing");
    }
  });
});

test("nextDueAt is the first instant at which due says something, whatever the probes reported", () => {
  const report = fc.record({
    http: fc.boolean(),
    fail: fc.boolean(),
    gap: fc.integer({ min: 1, max: 90 }),
  });
  fc.assert(
    fc.property(
      fc.array(report, { maxLength: 20 }),
      fc.integer({ min: 0, max: 2000 }),
      (reports, started) => {
        let state: HostRollout = declared;
        let secs = 1;
        for (const { http, fail, gap } of reports) {
          secs += gap;
          state = after(state, result(http ? HTTP : SYSTEM_STABLE, fail ? "fail" : "pass", secs));
        }
        const agent = { startedAt: at(started) };
        const next = nextDueAt(state, agent);
        expect(next).not.toBeNull();
        if (next === null) return;
        expect(due(state, agent, instant(next - 1))).toBeNull();
        expect(due(state, agent, next)).not.toBeNull();
      },
    ),
  );
});

test("what due reports is legal in the state that it reports on (hazard 50)", () => {
  const failing = after(declared, result(SYSTEM_STABLE, "pass", 2), result(HTTP, "fail", 5));
  const what = due(failing, run, at(65));
  expect(what?.kind).toBe("Report");
  if (what?.kind === "Report")
    expect(after(failing, what.event)).toMatchObject({ kind: "Failed", rollback: "owed" });
});

function fresh(): HostRollout {
  return after(RECORDS.Pending, eventsFor(RECORDS.Pending).DispatchAck);
}
