import { describe, expect, test } from "vitest";
import type { ProbeMode } from "../event.ts";
import { addSecs, type Instant, instant } from "../time.ts";
import { due } from "./due.ts";
import { gates, healthGaps, SYSTEM_STABLE } from "./health.ts";
import { after, BOOT_1, envelope, eventsFor, HTTP, RECORDS, START } from "./records.fixture.ts";
import type { HostRollout } from "./state.ts";
import { transition } from "./transition.ts";

const e = eventsFor(RECORDS.Soaking);
const at = (secs: number): Instant => addSecs(START, secs);
const run = { startedAt: START };
const MODES = ["enforce", "observe", "disabled"] as const satisfies readonly ProbeMode[];

/** A soaking host that has declared `http` in this mode beside system-stable, which has passed. */
function declared(mode: ProbeMode): HostRollout {
  const probes = [
    { probeName: SYSTEM_STABLE, kind: "system-stable", mode: "enforce", intervalSecs: 10 },
    { probeName: HTTP, kind: "http", mode, intervalSecs: 10 },
  ] as const;
  const topology = { ...e.ProbeTopologyDeclared, probes, bootId: BOOT_1 };
  return after(RECORDS.Activating, e.ActivationCompleted, topology, stable(2));
}
const stable = (secs: number) => ({
  ...e.ProbeResult,
  probeName: SYSTEM_STABLE,
  observedAt: at(secs),
});
const http = (mode: ProbeMode, status: "pass" | "fail", secs: number) => ({
  ...e.ProbeResult,
  mode,
  status,
  observedAt: at(secs),
});
const gaps = (state: HostRollout, now: Instant): readonly string[] =>
  state.kind === "Soaking" ? healthGaps(state, now).map(({ what }) => what) : [state.kind];

/** What the table says of a report of Converged at this moment. */
const converges = (state: HostRollout, now: Instant): string => {
  const event = { ...e.Converged, convergedAt: now };
  const { outcome } = transition(state, envelope(state, event));
  return outcome.kind === "refused" ? outcome.code : outcome.kind;
};

describe("no data is no health (hazard 37)", () => {
  const activated = after(RECORDS.Activating, e.ActivationCompleted);
  test.each<readonly [string, HostRollout, readonly string[]]>([
    ["nothing was declared", activated, ["topology"]],
    ["nothing was reported", after(activated, e.ProbeTopologyDeclared), [SYSTEM_STABLE, HTTP]],
    ["one has not reported", declared("enforce"), [HTTP]],
    [
      "what was seen was seen before the activation",
      after(declared("enforce"), http("enforce", "pass", 0)),
      [HTTP],
    ],
  ])("%s", (_, state, missing) => {
    expect(gaps(state, at(1e6))).toEqual(missing);
    expect(converges(state, at(1e6))).toBe("health-not-shown");
  });

  test("evidence of an earlier declaration is none (hazard 46)", () => {
    const healthy = after(declared("enforce"), http("enforce", "pass", 5));
    expect(converges(healthy, at(600))).toBe("moved");
    const again = after(healthy, { ...e.ProbeTopologyDeclared, declaredAt: at(590) });
    expect(gaps(again, at(600))).toEqual([SYSTEM_STABLE, HTTP]);
    expect(converges(again, at(600))).toBe("health-not-shown");
  });
});

test("the soak counts from the host's own activation (hazard 39)", () => {
  for (const activatedSecs of [0, 300]) {
    const completed = { ...e.ActivationCompleted, completedAt: at(activatedSecs) };
    const probes = [stable(activatedSecs + 2), http("enforce", "pass", activatedSecs + 2)];
    const state = after(RECORDS.Activating, completed, e.ProbeTopologyDeclared, ...probes);
    const end = at(activatedSecs + 600);
    expect(gaps(state, instant(end - 1))).toEqual(["soak"]);
    expect(converges(state, instant(end - 1))).toBe("health-not-shown");
    expect(converges(state, end)).toBe("moved");
  }
});

describe("which probes count (hazard 41)", () => {
  test.each(MODES)("%s", (mode) => {
    const isGating = mode === "enforce";
    expect(gates({ probeName: HTTP, kind: "http", mode, intervalSecs: 10 })).toBe(isGating);
    const silent = after(declared(mode), stable(590));
    expect(gaps(silent, at(600))).toEqual(isGating ? [HTTP] : []);
    if (mode === "disabled") return;
    const failing = after(silent, http(mode, "fail", 591), stable(660));
    expect(gaps(failing, at(665))).toEqual(isGating ? [HTTP] : []);
    expect(due(failing, run, at(665))).toMatchObject(
      isGating ? { kind: "Report", event: { failingProbes: [HTTP] } } : { kind: "Observe" },
    );
  });
});

describe("a failure is sustained from its own beginning (hazard 40)", () => {
  const blip = after(
    declared("enforce"),
    http("enforce", "fail", 5),
    http("enforce", "pass", 15),
    stable(180),
    http("enforce", "fail", 185),
    stable(240),
  );

  test("two short failures three minutes apart are not one long one", () => {
    expect(due(blip, run, at(185 + 59))).toBeNull();
    expect(due(blip, run, at(185 + 60))).toMatchObject({
      event: { kind: "Failed", sustainedDurationSecs: 60, failingProbes: [HTTP] },
    });
  });

  test("a pass clears the timer, however long it had run", () => {
    const cleared = after(blip, http("enforce", "pass", 185 + 59), stable(300));
    expect(due(cleared, run, at(185 + 60))).toBeNull();
    expect(due(cleared, run, at(300))).toBeNull();
  });

  test("one probe's pass clears nobody else's", () => {
    const other = after(blip, stable(185 + 59));
    expect(due(other, run, at(185 + 60))).toMatchObject({ event: { failingProbes: [HTTP] } });
  });
});
